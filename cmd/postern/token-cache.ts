import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Environment } from '../../src/config/environment.ts'
import { variable } from '../../src/config/load.ts'

/** What a program may show to one application, as the person who signed it in. */
export interface ProgramToken {
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Where the token for an origin is kept: `$XDG_STATE_HOME/postern/tokens/…`, a file of its own that nobody else may read. */
function fileOf(origin: string, env: Environment | undefined): { readonly folder: string; readonly file: string } {
  const state = variable('XDG_STATE_HOME', env) ?? join(homedir(), '.local', 'state')
  const folder = join(state, 'postern', 'tokens')
  return { folder, file: join(folder, `${encodeURIComponent(origin)}.json`) }
}

/** Whole or not at all: a command that is stopped leaves the old one. */
export async function keepToken(origin: string, token: ProgramToken, env?: Environment): Promise<string> {
  const { folder, file } = fileOf(origin, env)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const draft = `${file}.${process.pid}`
  await writeFile(draft, `${JSON.stringify(token)}\n`, { mode: 0o600, flag: 'wx' })
  await rename(draft, file)
  return file
}

/** undefined: there is none that is still good, or others may read it. */
export async function keptToken(origin: string, now: number, env?: Environment): Promise<ProgramToken | undefined> {
  const { file } = fileOf(origin, env)
  try {
    if (((await stat(file)).mode & 0o077) !== 0) return undefined
    const value: unknown = JSON.parse(await readFile(file, 'utf8'))
    return isToken(value) && value.expiresAt > now ? value : undefined
  } catch {
    // None, or not one of ours: the person signs in again.
    return undefined
  }
}

function isToken(value: unknown): value is ProgramToken {
  if (typeof value !== 'object' || value === null) return false
  const { token, expiresAt } = value as Record<string, unknown>
  return typeof token === 'string' && TOKEN.test(token) && typeof expiresAt === 'number'
}

/** RFC 6750 §2.1. Anything else would be more than one header where it is written into one. */
export const TOKEN = /^[\w.~+/-]{1,4096}=*$/
