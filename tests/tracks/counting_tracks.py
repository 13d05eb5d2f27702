"""Tracks that count and watch events, as an author writes them (docs/reference/tracks/branches.md shows parts)."""

VIEWED_THREE_TIMES = """
track: pricing-interest
entry: {event: pricing.viewed}
reentry: {after: 30d}
steps:
  - id: views
    repeat:
      times: 2
      steps:
        - id: viewed
          wait_for:
            event: pricing.viewed
            within: 7d
            since: enrollment
            else: [{id: not-enough, exit: {reason: not-interested}}]
  - {id: talk, crm: {task: {title: 'Three views of the prices', due: 1d}}}
"""

FAILED_THREE_TIMES = """
track: payment-trouble
entry: {event: payment.failed}
reentry: always
goal: {event: payment.succeeded}
steps:
  - id: failures
    repeat:
      times: 2
      steps:
        - id: failed
          wait_for: {event: payment.failed, within: 14d, since: enrollment, else: [{id: once-only, exit: {}}]}
        - {id: note, crm: {note: It failed again}}
  - {id: call, crm: {task: {title: 'Three failed payments', due: 4h}}}
"""

AN_HOUR_AFTER_THE_LAST_CHANGE = """
track: cart-reminder
entry: {event: cart.updated}
reentry: always
goal: {event: order.completed}
defaults: {sms: {from: '+15005550006'}}
steps:
  - id: changes
    repeat:
      times: 1000
      steps:
        - id: change
          wait_for: {event: cart.updated, within: 1h, since: enrollment, else: [{id: settled, break: {}}]}
  - {id: remind, sms: {text: Your cart is waiting}}
"""

NO_USE_FOR_14_DAYS = """
track: missed-you
entry: {event: app.used}
exits: [{event: account.closed, reason: closed}]
defaults: {sms: {from: '+15005550006'}}
steps:
  - id: watch
    repeat:
      times: 1000
      steps:
        - id: used
          wait_for:
            event: app.used
            within: 14d
            since: enrollment
            else: [{id: missed-you, sms: {text: We miss you}}]
"""
