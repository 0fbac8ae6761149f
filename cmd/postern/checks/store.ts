import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { messageOf } from '../../../src/errors.ts'
import { createKeyRings } from '../../../src/lib/key-ring.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { Config } from '../../../src/config/model.ts'
import type { Clock } from '../../../src/types.ts'
import type { Finding } from '../finding.ts'

/** With a record that is written, read and deleted. A running Postern may have the same store open. */
export async function checkStore({ fixed, live }: Config, clock: Clock): Promise<readonly Finding[]> {
  const { storage } = fixed
  if (storage.kind === 'memory') return []
  const path = storage.kind === 'embedded' ? resolve(storage.path) : undefined
  const check = `store (${path ?? storage.kind})`
  const { dataFile, inspectStore } = await import('../../../src/inspection.ts')
  // Made here it would be this user's, who need not be Postern's.
  if (path !== undefined && !existsSync(dataFile(path)))
    return [{ check, status: 'ok', message: 'is made at the first start' }]
  try {
    const facts = await inspectStore(fixed, {
      keyRings: createKeyRings(() => live.credentials.sharedSecrets),
      clock,
      logger: silentLogger,
    })
    const server = facts?.version === undefined ? '' : `; ${facts.version}`
    const message = `is of this shared_secret, and keeps what is written${server}`
    return [
      { check, status: 'ok', message },
      ...(facts?.doubt ? [{ check, status: 'warn', ...facts.doubt } as const] : []),
    ]
  } catch (error) {
    const remedy =
      path === undefined ? 'see storage.url, and who may connect there' : 'see storage.path, and whose the files are'
    return [{ check, status: 'fail', message: messageOf(error), remedy }]
  }
}
