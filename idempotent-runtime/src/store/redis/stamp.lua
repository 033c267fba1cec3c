-- Gives tags new versions, in the order of their keys.
--
-- KEYS[1]  the counter
-- KEYS[2…] the tags
-- ARGV[1]  the nonce of this call, 8 bytes
-- ARGV[2]  '1' creates the tags that do not exist
-- ARGV[3]  how long the tags must live at least, in ms; 0 leaves their lives as they are
-- ARGV[4]  a byte per tag: '1' gives it a new version, '0' only asks
--
-- Replies {the new version, then of each tag the version before or nil}. A version is 16 bytes: counter and nonce.

local count = redis.pcall('INCR', KEYS[1])
if type(count) == 'table' then
  if not string.find(count.err, '^WRONGTYPE') and not string.find(count.err, 'integer')
    and not string.find(count.err, 'overflow') then
    return count
  end
  -- What is no counter begins anew: the nonce alone tells versions apart then.
  redis.call('DEL', KEYS[1])
  count = redis.call('INCR', KEYS[1])
end
local version = struct.pack('>I8', count) .. ARGV[1]
local life = tonumber(ARGV[3])
local reply = {version}

for n = 2, #KEYS do
  local key = KEYS[n]
  -- Where something of another type is, there is nothing.
  local before = redis.call('MGET', key)[1]
  if before and #before == 16 then
    reply[n] = before
    if string.byte(ARGV[4], n - 1) == 49 then
      redis.call('SET', key, version, 'KEEPTTL')
    end
    if life > 0 then
      redis.call('PEXPIRE', key, ARGV[3], 'GT')
    end
  else
    reply[n] = false
    if ARGV[2] == '1' then
      redis.call('SET', key, version, 'PX', life > 0 and ARGV[3] or 1)
    end
  end
end
return reply
