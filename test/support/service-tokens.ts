import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Ran } from './cli.ts'
import { startCliProcess } from './cli-process.ts'
import type { World } from './world.ts'

/** `postern tokens` as an operator uses it, beside the running Postern of a world. */
export interface TokenMaker {
  run(...args: readonly string[]): Promise<Ran>
  /** A token, from standard output. */
  create(...args: readonly string[]): Promise<string>
  close(): Promise<void>
}

export async function startTokenMaker(world: Pick<World, 'configText'>): Promise<TokenMaker> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-tokens-'))
  const file = join(folder, 'config.yaml')
  const operator = await startCliProcess()
  const run = (...args: readonly string[]): Promise<Ran> => {
    writeFileSync(file, world.configText())
    return operator.run(['tokens', ...args, '--config', file])
  }
  return {
    run,
    async create(...args) {
      const { exitCode, out, err } = await run('create', ...args)
      if (exitCode !== 0) throw new Error(err)
      return out
    },
    async close() {
      await operator.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Header line of a client that sends it as a password. */
export function basic(user: string, password: string): string {
  return `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
