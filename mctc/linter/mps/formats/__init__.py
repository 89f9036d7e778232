"""How findings in training code are printed, a module a format: text · github (workflow commands) · sarif (2.1.0) ·
markdown (a comment on a pull request) · page (HTML). JSON is that of every diagnostic (mctc.diagnostics.render).
"""
