-- Signs up a new account with each request.
-- wrk -s sign-up.lua URL -- PREFIX      a prefix that no other run has

local prefix, last = "", 0

function init(arguments)
    prefix = arguments[1]
end

function request()
    last = last + 1
    local form = '{"email":"%s.%d@example.org","name":"%s.%d","password":"correct horse battery staple"}'
    local body = form:format(prefix, last, prefix, last)
    return wrk.format("POST", "/user", { ["Content-Type"] = "application/json" }, body)
end
