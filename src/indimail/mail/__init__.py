"""The words of mail: values that every stage shares.  No I/O, no clock, nothing of ours imported."""
