import { formatIssues, type Judged, loadConfig } from '../../src/config/load.ts'
import type { Io } from './io.ts'

export type ValidConfiguration = Extract<Judged, { kind: 'ok' }>

/** The configuration in force; undefined when it is not valid, which has been said then. Warnings are left to `check`. */
export async function readConfiguration(file: string | undefined, io: Io): Promise<ValidConfiguration | undefined> {
  const loaded = await loadConfig(file, io.env)
  if (loaded.kind === 'ok') return loaded
  for (const line of formatIssues(loaded.issues.filter(({ severity }) => severity === 'error'))) io.err(line)
  return undefined
}
