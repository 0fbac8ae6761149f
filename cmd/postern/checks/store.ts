import { messageOf } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { Config } from '../../../src/config/model.ts'
import type { Clock } from '../../../src/types.ts'
import type { Finding } from '../finding.ts'

/** One in this machine is opened by Postern alone. */
export async function checkStore({ fixed }: Config, clock: Clock): Promise<readonly Finding[]> {
  const { inspectStore, isShared } = await import('../../../src/inspection.ts')
  if (!isShared(fixed.storage)) return []
  const check = `store (${fixed.storage.kind})`
  try {
    await inspectStore(fixed, { clock, logger: silentLogger })
    return [{ check, status: 'ok', message: 'answers, and is of this shared_secret' }]
  } catch (error) {
    return [{ check, status: 'fail', message: messageOf(error) }]
  }
}
