import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'

const ROOT = '/sys/fs/cgroup'

/** Reads a small file; undefined: it is not there, or nobody may read it. */
export type ReadText = (path: string) => string | undefined

/**
 * How many cores this process may keep busy: those of its affinity, and no more than the CPU quota of its control groups
 * allows, rounded down: a worker that is throttled half of the time is half as quick and twice as late.
 */
export function availableCores(parallelism = availableParallelism(), read: ReadText = readText): number {
  const quota = Math.min(...quotas(read))
  return Math.max(1, Math.min(parallelism, Math.floor(quota)))
}

/** Of this process' group and of each above it, in cores. In a container's own name space the path is `/`. */
function* quotas(read: ReadText): Iterable<number> {
  yield Number.POSITIVE_INFINITY
  for (const [, controllers = '', path = '/'] of (read('/proc/self/cgroup') ?? '').matchAll(/^\d+:([^:]*):(.*)$/gm)) {
    const isV2 = controllers === ''
    if (!isV2 && !controllers.split(',').includes('cpu')) continue
    for (const group of upwards(path)) yield isV2 ? quotaV2(read, group) : quotaV1(read, group)
  }
}

function* upwards(path: string): Iterable<string> {
  for (let at = path; ; at = dirname(at)) {
    yield at
    if (at === '/' || at === '.') return
  }
}

/** `200000 100000`: microseconds of each period; `max`: no limit. */
function quotaV2(read: ReadText, group: string): number {
  const [quota, period] = (read(join(ROOT, group, 'cpu.max')) ?? '').split(' ').map(Number)
  return coresOf(quota, period)
}

/** −1: no limit. */
function quotaV1(read: ReadText, group: string): number {
  const value = (name: string): number => Number(read(join(ROOT, 'cpu', group, name)) ?? Number.NaN)
  return coresOf(value('cpu.cfs_quota_us'), value('cpu.cfs_period_us'))
}

function coresOf(quota = Number.NaN, period = Number.NaN): number {
  return quota > 0 && period > 0 ? quota / period : Number.POSITIVE_INFINITY
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
