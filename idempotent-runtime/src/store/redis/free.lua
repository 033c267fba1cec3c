-- Ends a claim or a lock, if it is this execution's, and wakes those who wait for it.
--
-- KEYS[1]  the claim or lock, and the channel of those who wait
-- ARGV[1]  the execution, 16 bytes; with the number of the call that has set it, 24 bytes, if only that is to be undone
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
if not holder or string.sub(holder, 1, #ARGV[1]) ~= ARGV[1] then
  return 0
end
-- First, as a right to it may be missing: then nothing has been done.
redis.call('PUBLISH', KEYS[1], '')
redis.call('DEL', KEYS[1])
return 1
