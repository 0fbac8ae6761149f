import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import type { Held, Leases } from './lease.ts'

/**
 * The leases of the embedded store are a file beside it, which is never flushed: nobody holds one when the machine comes
 * back, and a renewal each second in the map would wake the disk as often. Whoever calls keeps everybody else from it.
 */
export function openLeaseFile(file: string): {
  readonly edit: (work: (held: Leases) => boolean) => boolean
  readonly close: () => void
} {
  // By whoever holds a lease, who is the owner of the store: an operator's commands leave no file behind.
  let descriptor: number | undefined
  return {
    edit(work) {
      descriptor ??= openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600)
      const before = Buffer.alloc(fstatSync(descriptor).size)
      readSync(descriptor, before, 0, before.length, 0)
      const held = parse(before.toString('latin1'))
      if (!work(held)) return false
      // In place and never shorter: a full disk takes that, too.
      writeSync(descriptor, JSON.stringify([...held]).padEnd(before.length), 0, 'latin1')
      return true
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor)
    },
  }
}

/** What cannot be read holds nobody up. */
function parse(text: string): Leases {
  try {
    const leases = JSON.parse(text) as readonly [string, Held][]
    return new Map(leases.filter(([, { until }]) => typeof until === 'number'))
  } catch {
    return new Map()
  }
}
