import { closeSync, mkdirSync, openSync, readSync, statfsSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a directory that only its owner may read, and those above it. Not Node's `recursive`: it tries for ever where mkdir
 * says ENOENT although the parent is there, as in /proc.
 */
export function makeDirectory(path: string): void {
  const parent = dirname(path)
  if (parent !== path && !statSync(parent, { throwIfNoEntry: false })) makeDirectory(parent)
  try {
    mkdirSync(path, 0o700)
  } catch (error) {
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}

/**
 * Creates a file that only its owner may read (LMDB would let the group), and refuses to go on with one that is not LMDB's:
 * lmdb 3.5.6 crashes the process on it. Data files begin with a 24-byte page header, the magic number and the format version.
 */
export function prepare(file: string, isData: boolean): void {
  const descriptor = openSync(file, 'a+', 0o600)
  try {
    const head = Buffer.alloc(32)
    const length = readSync(descriptor, head, 0, head.length, 0)
    const known = head.readUInt32LE(24) === 0xbeefc0de && head.readUInt32LE(28) === 2
    if (isData && length > 0 && !known) throw new TypeError(`${file} is not a store`)
  } finally {
    closeSync(descriptor)
  }
}

/** LMDB calls it an input/output error. */
export function isFull(path: string): boolean {
  try {
    return statfsSync(path).bavail === 0
  } catch {
    return false
  }
}
