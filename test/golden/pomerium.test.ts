import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { groupsNamed, makeIdentity, makePrincipal } from '../../cmd/postern/judge.ts'
import { createJudge, outcomeOf } from '../../src/policy/question.ts'
import { formatIssue, parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/model.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createMembership } from '../../src/policy/membership.ts'
import type { Principal } from '../../src/policy/model.ts'

/**
 * test/golden/pomerium/*.yaml: what people write for Pomerium, in its older and its newer dialect. Each loads unchanged
 * and decides as it says: `#ask GET https://app.corp.example/ as ann@corp.example from 192.0.2.1 -> allow`, `as nobody`,
 * `in Engineering,Staff`.
 */
const folder = new URL('./pomerium/', import.meta.url)
const ASK = /^#ask (\S+) (\S+)(?: as (\S+))?(?: in (\S+))?(?: from (\S+))? -> (\S+)$/gm

describe('configurations of Pomerium', () => {
  for (const name of readdirSync(folder)) {
    test(name.replace('.yaml', '').replaceAll('-', ' '), () => {
      const text = readFileSync(new URL(name, folder), 'utf8')
      const loaded = parseConfig(text, name, {}, () => '')
      if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
      const judge = createJudge(loaded.config)
      const now = systemClock.now()
      const asked = [...text.matchAll(ASK)].map(([line, method = '', url = '', as, groups, ip = '127.0.0.1', outcome]) => {
        const who = as === 'nobody' ? undefined : personOf(loaded.config, as, groups)
        return { line, found: outcomeOf(judge({ method, url, ip, who, now })), outcome }
      })
      expect(asked.length).toBeGreaterThan(0)
      expect(asked.map(({ line, found }) => [line, found])).toEqual(asked.map(({ line, outcome }) => [line, outcome]))
    })
  }
})

function personOf(config: Config, email = 'ann@corp.example', groups = ''): Principal {
  const identity = makeIdentity(config.fixed.idps[0], { subject: '00u1', email })
  const membership = createMembership(groupsNamed(groups.split(',').filter(Boolean)), systemClock.now(), 'test')
  return makePrincipal('default', identity, membership, 'active')
}
