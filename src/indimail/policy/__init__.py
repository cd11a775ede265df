"""What two operators could decide differently before we take a message.

| asked at   | function                                   | in         |
|------------|--------------------------------------------|------------|
| connect    | `TcpRules.find`                            | `tcprules` |
| connect    | `decide_connection`                        | `limits`   |
| MAIL FROM  | `decide_sender`                            | `sender`   |
| RCPT TO    | `judge_recipient`, then `decide_relay`,    | `recipient`|
|            | then `judge_mailbox` where it `is_ours`    | `relay`    |

Each is pure: facts in, a verdict with its rule out, so that live traffic, a trial of changed rules
and a test call the same code.  What a variable switches on arrives as the rule that set it, or
None where it is not set.
"""
