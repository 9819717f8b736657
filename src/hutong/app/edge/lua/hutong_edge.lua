-- The edge before an application: refuses by ticket and class before the application pays. The decisions follow those
-- of hutong.kernel.overload (admission, places, desk), with what the board says in place of what the application knows.
--
-- In shared memory, `counts`: n = requests passed on and not answered yet, wPID = those of one worker, qCLASS = how many
-- were told a time that has not come, rCLASS = how many were refused since the application was last told, tCLASS = since
-- the edge began, at = when times were last counted down, hSECOND = full TLS handshakes, buriedPID = a dead worker that
-- was seen to; `spent`: ids of tickets let in, whichever process served them.

local tickets = require "hutong_tickets"

local ngx, io, os = ngx, io, os
local floor, ceil, max, random = math.floor, math.ceil, math.max, math.random

local M = {}

local BOARD_S, HOLDER_S, SOONEST_MS = 0.1, 86400, 1000
local LEVELS = { [0] = "normal", "busy", "crowded", "critical-only" }
local HTML, PROBLEM = "text/html; charset=utf-8", "application/problem+json"
local TITLES = { [429] = "Too Many Requests", [503] = "Service Unavailable" }

local options, keys, pages
local counts, spent
local own
local board

local function read(path)
    local file, trouble = io.open(path, "rb")
    if not file then
        return nil, trouble
    end
    local text = file:read("*a")
    file:close()
    return text
end

-- A page as the pieces between the places where seconds go.
local function pieces(path)
    local text, trouble = read(path)
    if not text then
        error(trouble, 0)
    end
    local found = {}
    for piece in (text .. "@SECONDS@"):gmatch("(.-)@SECONDS@") do
        found[#found + 1] = piece
    end
    return found
end

-- Before any process has said anything: as much as all of them say when they start.
local function unknown()
    local processes, first = #options.boards, { level = 0, rooms = {}, queues = {}, paces = {} }
    for at, class in ipairs(options.classes) do
        first.rooms[at] = processes * max(1, floor(options.first_limit * class.share))
        first.queues[at], first.paces[at] = processes * class.queue, 0
    end
    return first
end

local function numbers_of(path)
    local numbers = {}
    for word in (read(path) or ""):gmatch("%S+") do
        numbers[#numbers + 1] = tonumber(word)
    end
    return numbers[1] == 2 and #numbers == 5 + 7 * #options.classes and numbers or nil
end

-- What those processes have together. The level is the highest that at least half of them call for: a crowd is spread
-- evenly and felt by all, and what fewer feel is trouble of their own, which their own gates deal with.
local function summed(boards)
    local count, sum, levels = #options.classes, { rooms = {}, queues = {}, paces = {} }, {}
    for at = 1, count do
        sum.rooms[at], sum.queues[at], sum.paces[at] = 0, 0, 0
        for _, numbers in ipairs(boards) do
            sum.rooms[at] = sum.rooms[at] + numbers[5 + at]
            sum.queues[at] = sum.queues[at] + numbers[5 + count + at]
            sum.paces[at] = sum.paces[at] + numbers[5 + 2 * count + at]
        end
    end
    for at, numbers in ipairs(boards) do
        levels[at] = numbers[3]
    end
    table.sort(levels, function(one, other) return one > other end)
    sum.level = levels[ceil(#levels / 2)]
    return sum
end

-- A board that has not been renewed is that of a process that is gone or stuck: it counts for nothing. Where none is
-- fresh the level has passed, and requests under way keep to the rooms that there were: what is stuck is not buried.
local function read_boards()
    local fresh, old = {}, {}
    for _, path in ipairs(options.boards) do
        local numbers = numbers_of(path)
        if numbers then
            local its = ngx.now() * 1000 - numbers[2] > options.board_ms and old or fresh
            its[#its + 1] = numbers
        end
    end
    if #fresh > 0 then
        board = summed(fresh)
    elseif #old > 0 then
        board = summed(old)
        board.level = 0
    end
end

-- Requests of the class at place `at` that are promised a time, each second.
local function promised(at)
    return options.promised * max(board.paces[at], options.least_pace)
end

-- Times that were told come closer: one worker counts them down.
local function pass_time()
    local now = ngx.now()
    local elapsed = now - (counts:get("at") or now)
    counts:set("at", now)
    for at = 1, #options.classes do
        local told = counts:get("q" .. at) or 0
        if told > 0 then
            counts:incr("q" .. at, -math.min(told, elapsed * promised(at)))
        end
    end
end

-- In the master, before workers are there: secrets are read here and nowhere else.
function M.init(given)
    options = given
    local text, trouble = read(given.keys)
    if not text then
        error(trouble, 0)
    end
    keys = tickets.read_keys(text)
    pages = { busy = pieces(given.pages .. "/busy.html"), full = pieces(given.pages .. "/full.html"),
              away = pieces(given.pages .. "/away.html") }
    for at, class in ipairs(given.classes) do
        class.at = at
        class.cookie = "cookie_hutong_ticket_" .. class.name
        given.classes[class.name] = class
    end
    board = unknown()
end

-- What a worker that died had under way is under way no more. A worker that a reload has replaced lives on until its
-- last request is answered.
local function bury()
    for _, key in ipairs(counts:get_keys(0)) do
        local pid = key:match("^w(%d+)$")
        -- `add` lets one worker bury it: twice would leave the count too low for ever.
        if pid and not read("/proc/" .. pid .. "/stat") and counts:add("buried" .. pid, true, 10) then
            counts:incr("n", -(counts:get(key) or 0), 0)
            counts:delete(key)
        end
    end
end

-- For people, each second: `1 MADE UNDER_WAY TOLD×4 REFUSED×4`, as `hutong.app.console.load_facts` reads it;
-- REFUSED since the edge began. A disk that is full must not end the timer.
local function say()
    local words = { 1, floor(ngx.now() * 1000), max(counts:get("n") or 0, 0) }
    for at = 1, #options.classes do
        words[#words + 1] = ceil(counts:get("q" .. at) or 0)
    end
    for at = 1, #options.classes do
        words[#words + 1] = counts:get("t" .. at) or 0
    end
    local file = io.open(options.says .. ".new", "wb")
    if file then
        local done = file:write(table.concat(words, " "), "\n")
        if file:close() and done then
            os.rename(options.says .. ".new", options.says)
        end
    end
end

-- In each worker.
function M.worker()
    counts, spent = ngx.shared.hutong_counts, ngx.shared.hutong_spent
    own = "w" .. ngx.worker.pid()
    math.randomseed(tonumber(tickets.random(6), 16))
    bury()
    read_boards()
    local first, ticks = ngx.worker.id() == 0, 0
    ngx.timer.every(BOARD_S, function(ending)
        if ending then
            return
        end
        read_boards()
        if first then
            pass_time()
            ticks = ticks + 1
            if ticks % 10 == 0 then
                bury()
                say()
            end
        end
    end)
end

local function cookie(name, value, seconds)
    return name .. "=" .. value .. "; Path=/; Max-Age=" .. seconds .. "; HttpOnly; SameSite=Lax" .. options.secure
end

local function wants_html()
    local accept = ngx.var.http_accept
    return accept ~= nil and accept:find("text/html", 1, true) ~= nil
end

local function answer(status, page, why, seconds)
    local header, body = ngx.header, nil
    if wants_html() then
        body = table.concat(pages[page], tostring(seconds))
        header["Content-Type"] = HTML
        header["Refresh"] = seconds
    else
        body = '{"type":"/problems/overload","title":"' .. TITLES[status] .. '","status":' .. status .. ',"why":"' .. why
            .. '","retry_after":' .. seconds .. "}"
        header["Content-Type"] = PROBLEM
    end
    header["Content-Length"] = #body
    header["Cache-Control"] = "no-store"
    header["Retry-After"] = seconds
    header["Hutong-Level"] = LEVELS[board.level]
    ngx.status = status
    ngx.print(body)
    return ngx.exit(ngx.HTTP_OK)
end

local function retry_after_s(due_ms, now_ms)
    local wait
    if due_ms then
        wait = due_ms - now_ms + random() * options.window_ms / 3
    else
        wait = options.horizon_ms * (1 + random()) / 2
    end
    return max(1, ceil(wait / 1000))
end

-- The next time of a class, nil beyond the horizon.
local function take(at, now_ms)
    local wait = SOONEST_MS + (counts:get("q" .. at) or 0) / promised(at) * 1000
    if wait > options.horizon_ms then
        return nil
    end
    counts:incr("q" .. at, 1, 0)
    return floor(now_ms + wait)
end

local function refuse(class, shown, now_ms, why)
    counts:incr("r" .. class.at, 1, 0)
    counts:incr("t" .. class.at, 1, 0)
    local status, ticket, due_ms, seconds = 503, nil, nil, nil
    local secret = shown.secret
    if shown.standing == "early" or shown.standing == "due" then
        -- The same ticket again; why, hutong.kernel.overload.desk says.
        ticket, due_ms = shown.text, max(shown.due_ms, now_ms + SOONEST_MS)
        status = shown.standing == "early" and 429 or 503
    else
        due_ms = take(class.at, now_ms)
        if due_ms then
            if not secret then
                secret = tickets.random(16)
                ngx.header["Hutong-Holder"] = secret
            end
            ticket = tickets.sign(keys, class.name, due_ms, options.window_ms, tickets.holder_of(secret), now_ms)
        end
    end
    seconds = retry_after_s(due_ms, now_ms)
    if ticket then
        local its = cookie("hutong_ticket_" .. class.name, ticket, seconds + ceil(options.window_ms / 1000))
        ngx.header["Hutong-Ticket"] = ticket
        ngx.header["Set-Cookie"] = shown.secret and its or { its, cookie("hutong_holder", secret, HOLDER_S) }
    end
    return answer(status, ticket and "busy" or "full", why, seconds)
end

local function show(class, now_ms)
    local var = ngx.var
    local secret = var.http_hutong_holder or var.cookie_hutong_holder
    if secret and (#secret == 0 or #secret > 64) then
        secret = nil
    end
    local text = var.http_hutong_ticket or var[class.cookie]
    if not text or not secret then
        return { standing = "none", secret = secret }
    end
    local standing, id, due_ms, window_ms = tickets.verify(keys, text, secret, class.name, now_ms)
    if id and spent:get(id) then
        standing = "none"
    end
    return { standing = standing, secret = secret, text = text, id = id, due_ms = due_ms, window_ms = window_ms }
end

-- What was refused since it was last told, for the application's figures and level.
local function tell_refused()
    local told, any = {}, false
    for at = 1, #options.classes do
        local count = counts:get("r" .. at) or 0
        if count > 0 then
            counts:incr("r" .. at, -count)
            any = true
        end
        told[at] = count
    end
    return any and table.concat(told, ",") or ""
end

local function admit()
    local class = options.classes[ngx.var.hutong_class]
    if not class then
        return
    end
    local at, now_ms = class.at, floor(ngx.now() * 1000)
    local shown = show(class, now_ms)
    local due = shown.standing == "due"
    local under_way = counts:get("n") or 0
    if board.level > class.enters then
        return refuse(class, shown, now_ms, "level")
    end
    -- Who is passed on beyond the rooms waits in the application's queue. Half of it is kept for tickets that are due.
    local most = board.rooms[at]
    if due then
        most = most + board.queues[at]
    elseif board.level <= class.waits then
        most = most + floor(board.queues[at] / 2)
    end
    if under_way >= most then
        return refuse(class, shown, now_ms, "full")
    end
    if due then
        if not spent:add(shown.id, true, max(shown.due_ms + shown.window_ms - now_ms, 1) / 1000) then
            shown.standing = "none"
            return refuse(class, shown, now_ms, "full")
        end
    end
    counts:incr("n", 1, 0)
    counts:incr(own, 1, 0)
    -- Variables, for ngx.ctx does not outlast the redirect to the page that says the application is away.
    ngx.var.hutong_passed = due and shown.id or "-"
    ngx.var.hutong_refused = tell_refused()
end

-- Access phase: pass on, or refuse. If this fails, the application's own gate is still there.
function M.admit()
    local done, trouble = pcall(admit)
    if not done then
        ngx.log(ngx.CRIT, "the edge cannot decide: ", trouble)
    end
end

-- Log phase, which every request comes to.
function M.leave()
    local passed = ngx.var.hutong_passed
    if not passed or passed == "" then
        return
    end
    counts:incr("n", -1)
    counts:incr(own, -1)
    if passed ~= "-" and ngx.status >= 500 then
        spent:delete(passed)
    end
end

-- The application does not answer.
function M.away()
    return answer(503, "away", "away", 5 + floor(random() * 10))
end

-- A TLS connection begins. The costly part is still ahead: a full handshake beyond the budget is not begun; who resumes
-- a session (a pre-shared key of TLS 1.3, a ticket of TLS 1.2) costs little and is let on.
function M.hello()
    local hello = require "ngx.ssl.clienthello"
    local ticket = hello.get_client_hello_ext(35)
    if hello.get_client_hello_ext(41) or (ticket and #ticket > 0) then
        return
    end
    if counts:incr("h" .. floor(ngx.now()), 1, 0, 2) > options.handshakes then
        return ngx.exit(ngx.ERROR)
    end
end

return M
