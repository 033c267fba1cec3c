-- Takes a lock that is free or this execution's already.
--
-- KEYS[1]  the lock
-- ARGV[1]  the execution, 16 bytes
-- ARGV[2]  the lease in ms
--
-- Replies -1 if it is this execution's now, else the ms that its holder's lease has left.

local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'string' and #holder == 16 and holder ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  -- A lock without an end is none of ours.
  if left >= 0 then
    return left
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return -1
