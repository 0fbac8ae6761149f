import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Ran } from './cli.ts'

export interface CliProcess {
  /** One command at a time; `ahead`: milliseconds by which its clock is fast. */
  run(args: readonly string[], ahead?: number): Promise<Ran>
  close(): Promise<void>
}

/** The command line in another process than the test's, as an operator uses it beside a running Postern. */
export async function startCliProcess(): Promise<CliProcess> {
  const child = fork(fileURLToPath(new URL('cli-process.mjs', import.meta.url)), { execArgv: [] })
  const ended = once(child, 'exit')
  const next = async (): Promise<unknown> => {
    const [message] = (await Promise.race([
      once(child, 'message'),
      ended.then(() => Promise.reject(new Error('the command line process ended'))),
    ])) as [unknown]
    return message
  }
  await next()
  return {
    async run(args, ahead = 0) {
      const answer = next()
      child.send({ args, ahead })
      return (await answer) as Ran
    },
    async close() {
      child.disconnect()
      await ended
    },
  }
}
