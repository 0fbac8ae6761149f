/** What was read for a configuration, so that other processes load the same bytes and not what the files hold by then. */
import { readFileSync } from 'node:fs'

/** Throws like `readFileSync`. */
export type ReadBytes = (path: string) => Buffer

/** By path; what could not be read is not there. Survives a structured clone. */
export type RecordedFiles = ReadonlyMap<string, Buffer>

export function record(): { readonly readBytes: ReadBytes; readonly files: RecordedFiles } {
  const files = new Map<string, Buffer>()
  return {
    files,
    readBytes(path) {
      const bytes = readFileSync(path)
      files.set(path, bytes)
      return bytes
    },
  }
}

export function replay(files: RecordedFiles): ReadBytes {
  return (path) => {
    const bytes = files.get(path)
    if (!bytes) throw Object.assign(new Error(`${path} was not read`), { code: 'ENOENT' })
    return bytes
  }
}
