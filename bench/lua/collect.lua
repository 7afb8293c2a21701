-- As replay.lua, and writes the access and the refresh token of each answer to a file, which gets its name when there
-- are so many.
-- wrk -s collect.lua URL -- FILE COUNT TO

local here = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(here .. "replay.lua")

local replay, wanted, name, to = init, 0, nil, nil

function init(arguments)
    replay(arguments)
    wanted, name = tonumber(arguments[2]), arguments[3]
    to = assert(io.open(name .. ".part", "w"))
end

function response(status, headers, body)
    local access, refresh = body:match('"token":"([^"]+)"'), body:match('"refresh_token":"([^"]+)"')
    if wanted > 0 and access and refresh then
        to:write(access, "\t", refresh, "\n")
        wanted = wanted - 1
        if wanted == 0 then
            to:close()
            os.rename(name .. ".part", name)
        end
    end
end
