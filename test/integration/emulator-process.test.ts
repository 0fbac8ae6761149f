import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('the emulator as a process prints its address, checks its token, obeys its control API and ends on SIGTERM', async () => {
  const args = ['test/support/run-ts.mjs', 'emulator/okta/main.ts', '--size', '1k', '--token', '00process']
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { url } = JSON.parse(line) as { readonly url: string }
    const headers = { authorization: 'SSWS 00process', 'content-type': 'application/json' }
    const body = JSON.stringify({ group: 'Group 0', user: 'person0@example.com', member: true })
    expect((await fetch(`${url}/control/memberships`, { method: 'POST', headers, body })).status).toBe(200)
    const groups: readonly { readonly profile: { readonly name: string } }[] = await (
      await fetch(`${url}/api/v1/users/person0@example.com/groups`, { headers })
    ).json()
    expect(groups.map(({ profile }) => profile.name)).toContain('Group 0')
  } finally {
    child.kill('SIGTERM')
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
    expect([code, signal]).toEqual([0, null])
  }
})
