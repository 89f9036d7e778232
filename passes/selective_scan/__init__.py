"""Static forms of the selective scan, one file each: unrolled, prefix (scan by doubling), decay (pairs of frames).

heads (the decay form of ssd, which has one decay a head) · operands (the common form of the operands) · cost (ops and
bytes of each form).
"""
