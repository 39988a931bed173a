"""The statements as scripts, each of which a Redis server runs in one step.

A document is a hash: version, body, group, end, time of writing, and the id of the exchange that
wrote it. Three sorted sets find documents: those of a group by their names, those of a kind by the
time of their writing, and all that have an end by that. Every key has one hash tag, so that they
are on one node of a cluster.

Numbers are passed as text with 17 digits, because Lua would otherwise round them.
"""

# KEYS[1] is a prefix with the hash tag. ARGV[1] is the time, or empty for that of the server.
_COMMON = """
local prefix = KEYS[1]
local function text(number) return string.format('%.17g', number) end
local function time()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end
local now = time()
local function place(kind, name) return prefix .. 'd:' .. kind .. ':' .. name end
local function fetch(kind, name)
  local d = redis.call('HMGET', place(kind, name), 'v', 'b', 'g', 'e', 'w', 'i')
  if not d[1] then return nil end
  if d[4] ~= '' and tonumber(d[4]) <= now then return nil end
  return d
end
local function shown(name, d) return {name, d[1], d[2], d[3], d[4], d[5]} end
"""

SOME = (
    _COMMON
    + """
local found = {}
for n = 2, #ARGV, 2 do
  local d = fetch(ARGV[n], ARGV[n + 1])
  found[#found + 1] = d and shown(ARGV[n + 1], d) or false
end
return {text(now), found}
"""
)
"""Reads documents by their kinds and names."""

GROUP = (
    _COMMON
    + """
local kind, group, after, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local set = prefix .. 'g:' .. kind .. ':' .. group
local found, least = {}, after == '' and '-' or '(' .. after
while #found < most do
  local names = redis.call('ZRANGEBYLEX', set, least, '+', 'LIMIT', 0, 200)
  if #names == 0 then break end
  for _, name in ipairs(names) do
    local d = fetch(kind, name)
    if d and d[3] == '=' .. group and #found < most then found[#found + 1] = shown(name, d) end
  end
  least = '(' .. names[#names]
end
return {text(now), found}
"""
)
"""Reads a page of a group."""

WRITTEN = (
    _COMMON
    + """
local kind, since, after, most = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local set = prefix .. 'w:' .. kind
local found, skipped = {}, 0
while #found < most do
  local names = redis.call('ZRANGEBYSCORE', set, since, '+inf', 'LIMIT', skipped, 200)
  if #names == 0 then break end
  skipped = skipped + #names
  for _, name in ipairs(names) do
    local d = fetch(kind, name)
    if d and #found < most and (tonumber(d[5]) > tonumber(since) or name > after) then
      found[#found + 1] = shown(name, d)
    end
  end
end
return {text(now), found}
"""
)
"""Reads a page of what was written lately."""

EXCHANGE = (
    _COMMON
    + """
local id = ARGV[2]
local function forget(kind, name)
  local key = place(kind, name)
  local group = redis.call('HGET', key, 'g')
  if group and group ~= '' then
    redis.call('ZREM', prefix .. 'g:' .. kind .. ':' .. group:sub(2), name)
  end
  redis.call('ZREM', prefix .. 'w:' .. kind, name)
  redis.call('ZREM', prefix .. 'x', kind .. ':' .. name)
  redis.call('DEL', key)
end
-- An answer that was lost is asked for again: then all of it was done.
local stale, done = false, 0
local n = 3
while n <= #ARGV do
  local kind, name, expected, act = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  local d = fetch(kind, name)
  if (d and d[1] or '0') ~= expected then stale = true end
  if act == 'write' and d and d[6] == id then done = done + 1 end
  n = n + 7
end
if stale then return {text(now), done > 0 and 1 or 0} end
-- The time of writing does not go back, so that followers of the store miss nothing.
local last = tonumber(redis.call('GET', prefix .. 'last') or '0')
local at = now
if ARGV[1] == '' and last > now then at = last end
redis.call('SET', prefix .. 'last', text(at))
n = 3
while n <= #ARGV do
  local kind, name, expected, act = ARGV[n], ARGV[n + 1], ARGV[n + 2], ARGV[n + 3]
  if act ~= 'keep' then forget(kind, name) end
  if act == 'write' then
    local body, group, ends = ARGV[n + 4], ARGV[n + 5], ARGV[n + 6]
    local key = place(kind, name)
    redis.call('HSET', key, 'v', string.format('%.0f', tonumber(expected) + 1), 'b', body,
      'g', group, 'e', ends, 'w', text(at), 'i', id)
    if group ~= '' then
      redis.call('ZADD', prefix .. 'g:' .. kind .. ':' .. group:sub(2), 0, name)
    end
    redis.call('ZADD', prefix .. 'w:' .. kind, text(at), name)
    if ends ~= '' then redis.call('ZADD', prefix .. 'x', ends, kind .. ':' .. name) end
  end
  n = n + 7
end
local gone = redis.call('ZRANGEBYSCORE', prefix .. 'x', '-inf', text(now), 'LIMIT', 0, 20)
for _, each in ipairs(gone) do
  local cut = each:find(':', 1, true)
  forget(each:sub(1, cut - 1), each:sub(cut + 1))
end
return {text(now), 1}
"""
)
"""Makes all of some changes, or none."""
