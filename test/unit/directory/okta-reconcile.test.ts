import { expect, test } from 'vitest'
import type { CallOptions, OktaClient } from '../../../src/directory/okta/client.ts'
import { createReconcile } from '../../../src/directory/okta/reconcile.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { manualClock } from '../../support/clock.ts'

test.each([
  ['policies', 'reconcile'],
  ['all', 'background'],
] as const)('a comparison of what changed, scope %s, has the priority %s', async (scope, priority) => {
  const asked: string[] = []
  const client: Pick<OktaClient, 'pages'> = {
    async *pages(path: string, _query: object, options: CallOptions) {
      asked.push(`${path} ${options.priority}`)
      yield { body: [], date: 0, next: undefined }
    },
  }
  const reconcile = createReconcile({
    client: client as OktaClient,
    directory: { absorb: () => Promise.resolve(), *known() {} },
    clock: manualClock(),
    logger: silentLogger,
    wanted: () => [],
  })
  await reconcile.changes(scope, 0, new AbortController().signal)
  expect(asked).toEqual([`/api/v1/groups ${priority}`, `/api/v1/users ${priority}`])
})
