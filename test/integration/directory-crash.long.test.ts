/** The feed under kill -9: nothing that happened is lost, whatever moment it hits. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator } from '../../emulator/okta/emulator.ts'

interface Follower {
  ask(line: string): Promise<string>
  kill(): Promise<void>
}

async function follow(path: string, origin: string): Promise<Follower> {
  const script = [join('test', 'support', 'run-ts.mjs'), join('test', 'integration', 'feed-child.ts')]
  const child = spawn(process.execPath, [...script, path, origin, DEMO.apiToken], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await lines.next()).value)
  expect(await next()).toBe('ready')
  return {
    ask(line) {
      child.stdin.write(`${line}\n`)
      return next()
    },
    async kill() {
      child.kill('SIGKILL')
      await exit
    },
  }
}

test('a feed that is killed again and again while memberships change ends with what Okta has, and reads nobody again', async () => {
  const okta = await createOktaEmulator({ seed: demoSeed(), rateLimits: 'off', tokenShare: 1 })
  const path = mkdtempSync(join(tmpdir(), 'postern-feed-'))
  let follower = await follow(path, okta.url)
  onTestFinished(async () => {
    await follower.kill()
    await okta.close()
    rmSync(path, { recursive: true, force: true })
  })
  const people = Array.from({ length: 12 }, (_, n) => okta.addUser({ login: `user${n}@example.com` }).id)
  const truth = new Map(people.map((user) => [user, new Set(['Everyone'])]))
  // Both groups are known from these two: an addition then needs no reading.
  for (const user of [DEMO.people.alice, DEMO.people.bob, ...people]) await follower.ask(`read ${user}`)
  await sleep(2500)
  okta.clearCalls()

  for (let round = 0; round < 5; round++) {
    const changing = (async () => {
      for (let change = 0; change < 40; change++) {
        const user = people[(change * 7 + round * 5) % people.length] ?? ''
        const group = change % 3 === 0 ? 'Sales' : 'Engineering'
        const groups = truth.get(user) as Set<string>
        if (groups.delete(group)) okta.removeMember(group, user)
        else {
          groups.add(group)
          okta.addMember(group, user)
        }
        await sleep(2)
      }
    })()
    await sleep(15 + round * 17)
    await follower.kill()
    await changing
    follower = await follow(path, okta.url)
  }

  const wanted = people.map((user) => [...(truth.get(user) ?? [])].toSorted().join(','))
  const shown = async (): Promise<readonly string[]> => {
    const all: string[] = []
    for (const user of people) all.push(await follower.ask(`show ${user}`))
    return all
  }
  await expect.poll(shown).toEqual(wanted)
  expect(okta.calls().filter((call) => call.path.startsWith('/api/v1/users/00u'))).toEqual([])
})
