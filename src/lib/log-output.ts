/** Where log lines go: a file descriptor that may be full, closed or slow, which must never stop Postern. */
import { writeSync } from 'node:fs'
import type { Span } from '../types.ts'

export interface LogOutput {
  write(lines: string): void
}

export interface DescriptorOutput extends LogOutput {
  /** Lines that could not be written. */
  dropped(): number
  /** Why the last one could not be (`ENOSPC`); undefined: it was. */
  trouble(): string | undefined
}

/** Writes from `offset` on and returns how many bytes were taken, or throws as `writeSync` does. */
type Write = (descriptor: number, bytes: Buffer, offset: number) => number

/** A reader that takes nothing for so long is given up until it takes something. */
const PATIENCE: Span = 100
const PAUSE: Span = 5
const NEWLINE = 0x0a

/**
 * Whole lines, synchronously, as fast as the reader takes them; what cannot be written is counted and dropped, and the
 * next line that can be is preceded by one that says how many are missing.
 * @param lost that line.
 */
export function createDescriptorOutput(
  descriptor: number,
  lost: (count: number) => string,
  write: Write = writeSync,
): DescriptorOutput {
  let dropped = 0
  let untold = 0
  let torn = false
  let patient = true
  let trouble: string | undefined

  /** How many of these bytes were written. */
  function put(bytes: Buffer): number {
    let written = 0
    for (let waited = 0; written < bytes.length; ) {
      try {
        written += write(descriptor, bytes, written)
        patient = true
        trouble = undefined
      } catch (error) {
        trouble = codeOf(error)
        if (!isBusy(error) || !patient || waited >= PATIENCE) break
        Atomics.wait(SLEEP, 0, 0, PAUSE)
        waited += PAUSE
      }
    }
    if (written < bytes.length) patient = false
    return written
  }

  /** What of it could not be written. */
  function deliver(text: string): Buffer {
    const bytes = Buffer.from(text)
    const written = put(bytes)
    if (written > 0) torn = bytes[written - 1] !== NEWLINE
    return bytes.subarray(written)
  }

  function drop(rest: Buffer): void {
    let lines = 0
    for (const byte of rest) if (byte === NEWLINE) lines++
    dropped += lines
    untold += lines
  }

  return {
    write(lines) {
      if (untold > 0) {
        // Half a line that got through ends here, so that the next one is whole.
        if (deliver(`${torn ? '\n' : ''}${lost(untold)}`).length > 0) return drop(Buffer.from(lines))
        untold = 0
      }
      return drop(deliver(lines))
    },
    dropped: () => dropped,
    trouble: () => trouble,
  }
}

const SLEEP = new Int32Array(new SharedArrayBuffer(4))

function isBusy(error: unknown): boolean {
  return ['EAGAIN', 'EINTR'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
