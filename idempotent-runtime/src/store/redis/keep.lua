-- Puts a record in the place of its claim, if the claim is still this execution's, and wakes those who wait.
--
-- KEYS[1]  the claim, and the channel of those who wait for its end
-- KEYS[2]  the record
-- KEYS[3…] the tags that it depends on
-- ARGV[1]  the execution, 16 bytes
-- ARGV[2]  the record
-- ARGV[3]  its life in ms, which is the least that its tags live from now on
--
-- Replies 1, or 0 if the claim is not this execution's. Repeated, it replies 1 again.

local holder = redis.pcall('GET', KEYS[1])
-- What is of another type is none of ours.
if type(holder) == 'table' then
  if not string.find(holder.err, '^WRONGTYPE') then
    return holder
  end
  holder = false
end
if not holder or string.sub(holder, 1, 16) ~= ARGV[1] then
  return redis.pcall('GETRANGE', KEYS[2], 4, 19) == ARGV[1] and 1 or 0
end
-- The writes come first that may be refused: a script that fails half way is not taken back.
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', KEYS[1], '')
for n = 3, #KEYS do
  redis.call('PEXPIRE', KEYS[n], ARGV[3], 'GT')
end
redis.call('DEL', KEYS[1])
return 1
