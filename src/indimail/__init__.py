"""IndiMail in Python: a complete mail platform that tells why, shows what would change, and loses no mail.

Reading order is the message's way: ``mail`` and ``wire`` (words and bytes), ``smtp`` (the
conversation), ``policy`` (may it come in), ``queue`` (250 means durable), ``schedule`` and
``delivery`` (where and when), ``mailbox`` (where it is kept); ``serve`` joins them.
"""

__version__ = "0.1.0"
