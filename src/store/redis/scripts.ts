import { createHash } from 'node:crypto'

/**
 * What has to happen at once happens in these. Redis 7.0 or Valkey 7.2: the first line is theirs, and lets what only
 * removes run although the memory is full. All keys are in one slot, so a script may use more of them than it declares.
 */
export interface Script {
  readonly text: string
  readonly sha1: string
}

/** Changes that the log keeps, at least. A process that missed more has a gap. */
const CHANGES_KEPT = 50_000
/** Records that one run of `sweep` removes: about 2 ms. */
export const SWEEP_BATCH = 250
/** Kept so much longer than they live: our clocks and Redis's need not agree to the second. */
const SWEEP_SLACK = 60_000
/** Nobody sweeps where no Postern runs. */
const LAST_RESORT = 3_600_000

/**
 * KEYS: the change log. ARGV: the tag, our wall clock, the newest change that we know, the record that is looked at first
 * (or nothing) and the version that it must have (0: none, or an expired one), and then eight for each change: `put` or
 * `delete`, table, id, and of a put index (`-`: none), expiry (0: never), milliseconds until then, the sealed record; the
 * sealed key of both. Gives the sequence number of each change, `-` for a deletion of nothing; nothing when the version
 * was another.
 *
 * A record is `<version> <expiry> <index> <sealed>`. Versions are the sequence numbers of changes, these are Redis's
 * time in microseconds, or one more than the one before, or than any that we know: so they go on although Redis came back
 * empty, or with an older state. Each change names the one before it, so that whoever reads the log sees a gap.
 */
const COMMIT = `
local tag, now, known = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local millis = time[1] * 1000 + math.floor(time[2] / 1000)
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = newest and tonumber(string.match(newest[1], '^%d+')) or 0

local function header(key)
  return string.match(redis.call('GETRANGE', key, 0, 127), '^(%d+) (%d+) (%S+) ')
end

local function append(kind, table, key)
  local sequence = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1, known + 1))
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ${CHANGES_KEPT}, sequence .. '-0',
    'p', string.format('%.0f', last), 'o', kind, 't', table, 'k', key)
  last = tonumber(sequence)
  return sequence
end

local function forget(table, id, index)
  if index ~= '-' then redis.call('ZREM', tag .. 'i:' .. table .. ':' .. index, id) end
  redis.call('ZREM', tag .. 'x', table .. ' ' .. id .. ' ' .. index)
end

if ARGV[4] ~= '' then
  local version, expiry = header(ARGV[4])
  if not version or (expiry ~= '0' and tonumber(expiry) <= now) then version = '0' end
  if version ~= ARGV[5] then return false end
end

local sequences = {}
for i = 6, #ARGV, 8 do
  local kind, table, id, index, expiry, ttl, sealed, key = unpack(ARGV, i, i + 7)
  local record = tag .. 'r:' .. table .. ':' .. id
  local version, _, former = header(record)
  if kind == 'put' then
    local sequence = append(kind, table, key)
    if version and former ~= index then forget(table, id, former) end
    local value = sequence .. ' ' .. expiry .. ' ' .. index .. ' ' .. sealed
    local member = table .. ' ' .. id .. ' ' .. index
    if expiry == '0' then
      redis.call('SET', record, value)
      redis.call('ZREM', tag .. 'x', member)
    else
      redis.call('SET', record, value, 'PX', ttl + ${LAST_RESORT})
      redis.call('ZADD', tag .. 'x', millis + ttl + ${SWEEP_SLACK}, member)
    end
    redis.call('ZADD', tag .. 't:' .. table, 0, id)
    if index ~= '-' then redis.call('ZADD', tag .. 'i:' .. table .. ':' .. index, 0, id) end
    sequences[#sequences + 1] = sequence
  elseif redis.call('DEL', record) == 1 then
    redis.call('ZREM', tag .. 't:' .. table, id)
    forget(table, id, former or '-')
    sequences[#sequences + 1] = append(kind, table, key)
  else
    sequences[#sequences + 1] = '-'
  end
end
return sequences
`

/** KEYS: as above. ARGV: the tag. Removes what has expired, without a change; gives how many there were. */
const SWEEP = `
local tag = ARGV[1]
local time = redis.call('TIME')
local millis = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGE', tag .. 'x', '-inf', millis, 'BYSCORE', 'LIMIT', 0, ${SWEEP_BATCH})
for _, member in ipairs(due) do
  local table, id, index = string.match(member, '^(%S+) (%S+) (%S+)$')
  redis.call('DEL', tag .. 'r:' .. table .. ':' .. id)
  redis.call('ZREM', tag .. 't:' .. table, id)
  if index ~= '-' then redis.call('ZREM', tag .. 'i:' .. table .. ':' .. index, id) end
  redis.call('ZREM', tag .. 'x', member)
end
return #due
`

/** KEYS: as above. ARGV: the lease, its holder, milliseconds; 0 gives it up. 1: it was still ours. */
const HOLD = `
if redis.call('GET', ARGV[1]) ~= ARGV[2] then return 0 end
if ARGV[3] == '0' then return redis.call('DEL', ARGV[1]) end
return redis.call('PEXPIRE', ARGV[1], ARGV[3])
`

/**
 * KEYS: as above. ARGV: three for each debt: its key, microseconds more, and the most that may be owed. Gives what each is
 * then. It is kept as the instant at which it is paid, and gone then.
 */
const OWE = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local owed = {}
for i = 1, #ARGV, 3 do
  local paid = tonumber(redis.call('GET', ARGV[i])) or 0
  local debt = math.min(tonumber(ARGV[i + 2]), math.max(0, paid - now) + tonumber(ARGV[i + 1]))
  redis.call('SET', ARGV[i], string.format('%.0f', now + debt), 'PX', math.max(1, math.ceil(debt / 1000)))
  owed[#owed + 1] = debt
end
return owed
`

const script = (flags: string, body: string): Script => {
  const text = `#!lua${flags}${body}`
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}

export const commit = script('', COMMIT)
/** For changes that only remove. */
export const commitRemovals = script(' flags=allow-oom', COMMIT)
export const sweep = script(' flags=allow-oom', SWEEP)
export const owe = script('', OWE)
export const hold = script(' flags=allow-oom', HOLD)
