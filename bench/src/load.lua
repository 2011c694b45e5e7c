-- What wrk asks, and how it says what it found. TOKENS stands for the name of a file, and IN_BODY for
-- whether a token is sent in the body.
function init()
  local asked = {}
  for token in io.lines(TOKENS) do
    if IN_BODY then
      wrk.method = "POST"
      wrk.headers["Content-Type"] = "application/json"
      wrk.body = '{"token": "' .. token .. '"}'
    else
      wrk.headers["Authorization"] = "Bearer " .. token
    end
    asked[#asked + 1] = wrk.format()
  end
  -- With one token wrk sends the same bytes again and again, which costs it a fifth of this.
  if #asked > 1 then
    local turn = 0
    function request()
      turn = turn % #asked + 1
      return asked[turn]
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p99":%.3f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
