"""The decision per recipient, after the queue took the message.  Pure: facts in, `Plan` out."""
