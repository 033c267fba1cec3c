-- Looks for a valid record and, if there is none and nobody else's claim, sets the claim.
--
-- KEYS[1]  the record
-- KEYS[2]  the claim
-- ARGV[1]  the execution that asks, 16 bytes, and the number of this call, 8 bytes
-- ARGV[2]  the fingerprint of its payload, 32 bytes or none
-- ARGV[3]  the claim's lease in ms
-- ARGV[4]  the server's epoch, 8 bytes
-- ARGV[5]  '1' if a record that a tag has ended stays, so that retries are rejected until its own end
-- ARGV[6]  how many bytes a record may have
-- ARGV[7]  the execution whose record turned out to be unreadable, 16 bytes, or none
--
-- Replies one of
--   {'hit', record, ms that it has left}
--   {'changed', record, key of the tag that ended it}
--   {'busy', what the claim holds: execution, number of its call, fingerprint}
--   {'claimed', 'absent'}, {'claimed', 'unreadable'}, {'claimed', 'epoch'}, {'claimed', 'changed', key of the tag}
--
-- A record is what `value.rs` says. Whatever else is under a key counts as nothing and is removed.

local record = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[6])
local holder = nil
if record == '' then
  -- As most are, and so without all that is below.
  holder = redis.pcall('SET', KEYS[2], ARGV[1] .. ARGV[2], 'NX', 'GET', 'PX', ARGV[3])
  if not holder then
    return {'claimed', 'absent'}
  end
end

-- The keys and versions of its tags; fails where the record is cut short.
local function tags_of(record)
  local count, at = struct.unpack('>I4', record, 30)
  assert(count * 20 <= #record)
  local keys, versions = {}, {}
  for n = 1, count do
    local length
    length, at = struct.unpack('>I4', record, at)
    keys[n] = string.sub(record, at, at + length - 1)
    versions[n] = string.sub(record, at + length, at + length + 15)
    at = at + length + 16
  end
  assert(at <= #record + 1)
  return keys, versions
end

local function is_ours(record)
  return #record <= tonumber(ARGV[6])
    and string.sub(record, 1, 4) == '\193id\001'
    and string.sub(record, 5, 20) ~= ARGV[7]
end

local function judge(record)
  if not is_ours(record) then
    return 'unreadable'
  end
  local whole, keys, versions = pcall(tags_of, record)
  if not whole then
    return 'unreadable'
  end
  if string.byte(record, 21) == 1 and string.sub(record, 22, 29) ~= ARGV[4] then
    return 'epoch'
  end
  -- Lua's stack bounds how many arguments a call takes.
  for first = 1, #keys, 1000 do
    local last = math.min(first + 999, #keys)
    local present = redis.call('MGET', unpack(keys, first, last))
    for n = first, last do
      if present[n - first + 1] ~= versions[n] then
        return 'changed', keys[n]
      end
    end
  end
  return 'valid'
end

local is_text = type(record) == 'string'
if not is_text and not string.find(record.err, '^WRONGTYPE') then
  return record
end
local reason, tag = 'absent', nil
if record ~= '' then
  reason = 'unreadable'
  local left = redis.call('PTTL', KEYS[1])
  -- What is of another type, or has no end, is none of ours.
  if is_text and left >= 0 then
    reason, tag = judge(record)
  end
  if reason == 'valid' then
    return {'hit', record, left}
  end
  if reason == 'changed' and ARGV[5] == '1' then
    return {'changed', record, tag}
  end
  redis.call('DEL', KEYS[1])
end

-- Sets it where there is none, and tells what there is.
if holder == nil then
  holder = redis.pcall('SET', KEYS[2], ARGV[1] .. ARGV[2], 'NX', 'GET', 'PX', ARGV[3])
end
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
return {'claimed', reason, tag}
