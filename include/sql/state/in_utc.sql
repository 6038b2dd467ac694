-- Python reckons with times of any other zone by what the clocks there show, also where they change.
set timezone to 'UTC'
