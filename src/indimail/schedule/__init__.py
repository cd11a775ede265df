"""What two operators could decide differently after we took a message.

| when            | function                 | in       |
|-----------------|--------------------------|----------|
| at accept time  | `route`                  | `route`  |
| it is due       | `Window.take`            | `window` |
| it was deferred | `next_try`, `is_expired` | `retry`  |

Each is pure: routes and due times are kept in the queue, the clock and chance arrive as values.
"""
