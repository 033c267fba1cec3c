-- Takes a lock that is free or this execution's already.
--
-- KEYS[1]  the lock
-- ARGV[1]  the execution, 16 bytes, and the number of this call, 8 bytes
-- ARGV[2]  the lease in ms
--
-- Replies -1 if it is this execution's now, else the ms that its holder's lease has left.

-- Takes it where it is free, and tells who has it.
local holder = redis.pcall('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
if not holder then
  return -1
end
if type(holder) == 'table' and not string.find(holder.err, '^WRONGTYPE') then
  return holder
end
-- What is of another type is none of ours, and so is what has no end.
if type(holder) == 'string' and #holder == 24
  and string.sub(holder, 1, 16) ~= string.sub(ARGV[1], 1, 16) then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 then
    return left
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return -1
