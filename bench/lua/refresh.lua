-- Exchanges refresh tokens, each for its successor, in many sessions in turn.
-- wrk -s refresh.lua URL -- FILE        one refresh token on each line

local tokens, first, last = {}, 1, 0

local function keep(token)
    last = last + 1
    tokens[last] = token
end

function init(arguments)
    for token in io.lines(arguments[1]) do
        keep(token)
    end
end

function request()
    local token = tokens[first]
    tokens[first], first = nil, first + 1
    local body = "grant_type=refresh_token&refresh_token=" .. token
    return wrk.format("POST", "/token", { ["Content-Type"] = "application/x-www-form-urlencoded" }, body)
end

function response(status, headers, body)
    if status == 200 then
        keep(body:match('"refresh_token":"([^"]+)"'))
    end
end
