-- Waiting tickets at the edge: the same text and the same signature as hutong.kernel.overload.tickets, where both are
-- described. Knows no request, no clock and no shared memory.

local ffi = require "ffi"
local C = ffi.C

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len, const char *data, size_t size,
                    unsigned char *out, unsigned int *out_len);
unsigned char *SHA256(const char *data, size_t size, unsigned char *out);
int RAND_bytes(unsigned char *out, int count);
int CRYPTO_memcmp(const void *one, const void *other, size_t size);
]]

local M = {}

local MAC_BYTES, HOLDER_BYTES, ID_BYTES, LONGEST = 16, 8, 8, 200
local FORM = "^(1%.(%x+)%.(%l+)%.(%d+)%.(%d+)%.(%x+)%.(%x+))%.(%x+)$"
local DIGITS = "0123456789abcdef"

local out = ffi.new("unsigned char[?]", 64)
local hex_out = ffi.new("char[?]", 128)
local length = ffi.new("unsigned int[1]")
local sha256 = C.EVP_sha256()

local function hex(bytes, count)
    for at = 0, count - 1 do
        local byte = bytes[at]
        local high = (byte - byte % 16) / 16
        hex_out[2 * at] = DIGITS:byte(high + 1)
        hex_out[2 * at + 1] = DIGITS:byte(byte % 16 + 1)
    end
    return ffi.string(hex_out, 2 * count)
end

local function mac(key, body)
    C.HMAC(sha256, key.secret, #key.secret, body, #body, out, length)
    return hex(out, MAC_BYTES)
end

-- `count` random bytes in hex.
function M.random(count)
    C.RAND_bytes(out, count)
    return hex(out, count)
end

-- What a ticket says of its holder.
function M.holder_of(secret)
    C.SHA256(secret, #secret, out)
    return hex(out, HOLDER_BYTES)
end

-- The keys of a file's text: a list of {name, from_ms, secret}. An error where it is no such file.
function M.read_keys(text)
    local keys = {}
    for line in text:gmatch("[^\n]+") do
        local name, from_ms, digits = line:match("^(%x%x%x%x%x%x%x%x) (%d+) (%x+)$")
        if not name or #digits ~= 64 then
            error("not a file of ticket keys", 0)
        end
        local secret = digits:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end)
        keys[#keys + 1] = { name = name, from_ms = tonumber(from_ms), secret = secret }
    end
    if #keys < 1 or #keys > 2 then
        error("not a file of one or two ticket keys", 0)
    end
    return keys
end

-- The key that signs at this time.
local function signing(keys, now_ms)
    local one, other = keys[1], keys[2]
    if not other or other.from_ms > now_ms then
        return one
    end
    return (one.from_ms > now_ms or other.from_ms > one.from_ms) and other or one
end

-- A new ticket's text.
function M.sign(keys, class, due_ms, window_ms, holder, now_ms)
    local key = signing(keys, now_ms)
    local body = string.format("1.%s.%s.%d.%d.%s.%s", key.name, class, due_ms, window_ms, M.random(ID_BYTES), holder)
    return body .. "." .. mac(key, body)
end

-- What a text is worth for a request of this class from this holder: "none", "early", "due" or "over"; then, but for
-- "none", its id, due time and window.
function M.verify(keys, text, secret, class, now_ms)
    if #text > LONGEST then
        return "none"
    end
    local body, name, its_class, due, window, id, holder, signed = text:match(FORM)
    if not body or its_class ~= class or #signed ~= 2 * MAC_BYTES or #due > 15 or #window > 9 then
        return "none"
    end
    for at = 1, #keys do
        if keys[at].name == name then
            local right = mac(keys[at], body)
            if C.CRYPTO_memcmp(right, signed, #right) ~= 0 or holder ~= M.holder_of(secret) then
                return "none"
            end
            local due_ms, window_ms = tonumber(due), tonumber(window)
            if now_ms < due_ms then
                return "early", id, due_ms, window_ms
            end
            return now_ms < due_ms + window_ms and "due" or "over", id, due_ms, window_ms
        end
    end
    return "none"
end

return M
