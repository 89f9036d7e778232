"""Static forms of the selective scan, one file each: unrolled, prefix (scan by doubling), decay (pairs of frames).

operands (the common form of the operands) · cost (ops and bytes of each form).
"""
