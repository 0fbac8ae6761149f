import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { epochMillis } from '../../../src/lib/time.ts'
import type { Io } from '../io.ts'
import { keptToken } from '../token-cache.ts'
import { originOf } from './login.ts'

export interface CurlOptions {
  readonly url: string
  /** For curl itself. */
  readonly args: readonly string[]
}

/** Runs curl with the token that `postern login` keeps for this application. Exit code: curl's, or 1 (not signed in). */
export async function curlCommand({ url, args }: CurlOptions, io: Io): Promise<number> {
  const origin = originOf(url)
  // curl sends a header to every address that it is given.
  const other = args.find((arg) => /^(?:[a-z][a-z0-9+.-]*:\/\/|https?:[/\\])/i.test(arg) && !isOf(origin, arg))
  if (other !== undefined) {
    throw new AppError(
      'ERR_USAGE',
      `expected addresses of ${origin} only, because all of them get its token; found ${JSON.stringify(other)}`,
    )
  }
  const kept = await keptToken(origin, epochMillis((io.clock ?? systemClock).now()), io.env)
  if (!kept) {
    io.err(`postern: not signed in to ${origin}; run \`postern login ${origin}\``)
    return 1
  }
  const config = await openNameless(`header = "Authorization: Bearer ${kept.token}"\n`)
  try {
    const child = spawn('curl', ['--config', '/dev/fd/3', '--url', url, ...args], {
      stdio: ['inherit', 'inherit', 'inherit', config.fd],
    })
    return await new Promise((resolve, reject) => {
      child.on('error', (error) => reject(new AppError('ERR_DEPENDENCY', `curl cannot be run: ${error.message}`)))
      child.on('close', (code) => resolve(code ?? 1))
    })
  } finally {
    await config.close()
  }
}

/** Everybody on the machine can read arguments, and nobody a file without a name. It ends with us. */
async function openNameless(text: string): Promise<FileHandle> {
  const path = join(tmpdir(), `postern-${randomUUID()}`)
  await writeFile(path, text, { mode: 0o600, flag: 'wx' })
  try {
    return await open(path, 'r')
  } finally {
    await unlink(path)
  }
}

function isOf(origin: string, text: string): boolean {
  try {
    return originOf(text) === origin
  } catch {
    return false
  }
}
