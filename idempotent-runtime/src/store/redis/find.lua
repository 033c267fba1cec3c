-- Looks for a record in a cluster, where its tags may be on other servers, and sets the claim if there is none.
--
-- KEYS[1]  the record
-- KEYS[2]  the claim
-- ARGV[1]  the execution that asks, 16 bytes, and the number of this call, 8 bytes
-- ARGV[2]  the fingerprint of its payload, 32 bytes or none
-- ARGV[3]  the claim's lease in ms
-- ARGV[4]  how many bytes a record may have
-- ARGV[5]  the execution whose record turned out to be void, 16 bytes, or none
--
-- Replies one of
--   {'record', record, ms that it has left}, valid or not
--   {'busy', what the claim holds: execution, number of its call, fingerprint}
--   {'claimed'}, {'claimed', 'unreadable'}
--
-- A record is what `value.rs` says. The void one, and whatever else is under a key, counts as nothing and is removed.

local record = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[4])
local is_text = type(record) == 'string'
if not is_text and not string.find(record.err, '^WRONGTYPE') then
  return record
end
local reason = nil
if record ~= '' then
  local left = redis.call('PTTL', KEYS[1])
  -- What is of another type, or has no end, is none of ours.
  if not is_text or left < 0 or #record < 20 or #record > tonumber(ARGV[4])
    or string.sub(record, 1, 4) ~= '\193id\001' then
    reason = 'unreadable'
  elseif string.sub(record, 5, 20) ~= ARGV[5] then
    return {'record', record, left}
  end
  redis.call('DEL', KEYS[1])
end

-- Sets it where there is none, and tells what there is.
local holder = redis.pcall('SET', KEYS[2], ARGV[1] .. ARGV[2], 'NX', 'GET', 'PX', ARGV[3])
if type(holder) == 'table' and not string.find(holder.err, '^WRONGTYPE') then
  return holder
end
if holder then
  if type(holder) == 'string' and (#holder == 24 or #holder == 56)
    and string.sub(holder, 1, 16) ~= string.sub(ARGV[1], 1, 16)
    and redis.call('PTTL', KEYS[2]) >= 0 then
    return {'busy', holder}
  end
  -- This execution's own, or none of ours.
  redis.call('SET', KEYS[2], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
return {'claimed', reason}
