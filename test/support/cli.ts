import { runCli } from '../../cmd/postern/cli.ts'
import type { Clock } from '../../src/types.ts'

export interface Ran {
  readonly exitCode: number
  /** Data, without the last line end. */
  readonly out: string
  readonly err: string
}

/** The command line in this process, with its own environment: empty unless given. */
export async function cli(
  args: readonly string[],
  { env = {}, clock }: { readonly env?: Readonly<Record<string, string>>; readonly clock?: Clock } = {},
): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  const exitCode = await runCli(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    env,
    ...(clock && { clock }),
  })
  return { exitCode, out: out.join('\n'), err: err.join('\n') }
}
