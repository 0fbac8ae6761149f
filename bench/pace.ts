import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Pace, Paced } from './paced.ts'
import { BESIDE, node } from './programs.ts'

/** Requests at a fixed rate, from a process beside the upstream. Throws when an answer is not 200 or a connection fails. */
export async function pace(load: Pace): Promise<Paced> {
  const command = ['-c', String(BESIDE), ...node('paced.js', JSON.stringify(load))]
  const { stdout } = await promisify(execFile)('taskset', command, { timeout: (load.seconds + 60) * 1000 })
  return JSON.parse(stdout) as Paced
}
