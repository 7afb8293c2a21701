-- Sends the requests of a file in turn, again and again: METHOD, path, headers and body of each on one line,
-- separated by tabs, headers by "; ".
-- wrk -s replay.lua URL -- FILE

local requests, last = {}, 0

function init(arguments)
    for line in io.lines(arguments[1]) do
        local method, path, fields, body = line:match("^(%S+)\t(%S+)\t([^\t]*)\t(.*)$")
        local headers = {}
        for name, value in fields:gmatch("([^:;]+): ([^;]+)") do
            headers[name:match("%S+")] = value
        end
        requests[#requests + 1] = wrk.format(method, path, headers, body ~= "" and body or nil)
    end
end

function request()
    last = last % #requests + 1
    return requests[last]
end
