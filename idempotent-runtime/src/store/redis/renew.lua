-- Gives a claim or a lock its lease anew, if it is this execution's.
--
-- KEYS[1]  the claim or lock
-- ARGV[1]  the execution, 16 bytes
-- ARGV[2]  the lease in ms
--
-- Replies 1, or 0 if it is not this execution's.

local holder = redis.pcall('GET', KEYS[1])
-- What is of another type is none of ours.
if type(holder) == 'table' then
  if not string.find(holder.err, '^WRONGTYPE') then
    return holder
  end
  holder = false
end
if not holder or string.sub(holder, 1, 16) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
