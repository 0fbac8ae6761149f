/** Stores that replicas can share, real ones. Tests only. */
import { hasPostgres, startPostgres } from '../../test/support/postgres.ts'
import { startRedis } from '../../test/support/redis.ts'
import type { DeploymentOptions } from './deployment.ts'

export interface SharedStore extends Required<Pick<DeploymentOptions, 'storage'>> {
  close(): Promise<void>
}

/** For processes of one machine: it goes with the folder of the deployment. */
async function embedded(): Promise<SharedStore> {
  return { storage: (folder) => ({ type: 'embedded', path: `${folder}/store` }), async close() {} }
}

async function redis(): Promise<SharedStore> {
  const server = await startRedis()
  return { storage: () => ({ type: 'redis', url: `redis://127.0.0.1:${server.port}` }), close: () => server.close() }
}

async function postgres(): Promise<SharedStore> {
  const server = await startPostgres()
  return {
    storage: () => ({ type: 'postgres', url: `postgres://postern@127.0.0.1:${server.port}/postgres?sslmode=disable` }),
    close: () => server.close(),
  }
}

export const SHARED_STORES: readonly { readonly name: string; readonly open: () => Promise<SharedStore> }[] = [
  { name: 'the embedded store', open: embedded },
  { name: 'Redis', open: redis },
  // It comes with Debian's server package, which not every machine has.
  ...(hasPostgres ? [{ name: 'PostgreSQL', open: postgres }] : []),
]
