import { readFileSync } from 'node:fs'
import { systemReason } from '../../../src/config/input.ts'
import { formatIssue } from '../../../src/config/issues.ts'
import { parsePolicyTests, type PolicyTest } from '../../../src/config/policy-tests.ts'
import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { Config } from '../../../src/config/model.ts'
import type { WallTime } from '../../../src/types.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import {
  createJudge,
  describeExplanation,
  groupsNamed,
  type Judgement,
  makeIdentity,
  makePrincipal,
  outcomeOf,
} from '../judge.ts'
import { count, printable } from '../text.ts'

export interface PolicyTestOptions {
  readonly tests: string
  readonly config: string | undefined
}

/** Runs table tests of a configuration's policies. Exit code 0, 1 (a case failed) or 3 (configuration or tests not valid). */
export async function policyTestCommand({ tests, config: file }: PolicyTestOptions, io: Io): Promise<number> {
  const parsed = parsePolicyTests(readTests(tests), tests)
  const loaded = await readConfiguration(file, io)
  if (parsed.kind === 'invalid') for (const issue of parsed.issues) io.err(formatIssue(issue))
  if (!loaded || parsed.kind === 'invalid') return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const judge = createJudge(config)
  const now = (io.clock ?? systemClock).now()
  let failed = 0
  for (const row of parsed.cases) {
    const { url, ip } = row
    const judgement = judge({ method: row.method, url, ip, who: principalOf(row, config, now), now })
    const ok = fits(row, judgement)
    if (!ok) failed++
    const title = row.name ?? describeQuestion(row)
    io.out(printable(ok ? `ok    ${title}` : `FAIL  ${title} (${row.at})`))
    if (!ok) for (const line of describeDifference(row, judgement)) io.out(printable(`      ${line}`))
  }
  io.out(
    failed === 0
      ? `${count(parsed.cases.length, 'case')} passed`
      : `${failed} of ${count(parsed.cases.length, 'case')} failed`,
  )
  return failed === 0 ? 0 : 1
}

function readTests(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new AppError('ERR_USAGE', `cannot read ${file}: ${systemReason(error)}`, { cause: error })
  }
}

function principalOf({ who }: PolicyTest, config: Config, now: WallTime): Principal | undefined {
  if (who === 'nobody') return undefined
  const { user, email, groups, claims, active } = who
  return makePrincipal(
    makeIdentity(config, { subject: user, claims, ...(email !== undefined && { email }) }),
    groups === 'unknown' ? 'unknown' : createMembership(groupsNamed(groups), now, 'table test'),
    active ? 'active' : 'inactive',
  )
}

function fits({ expect, reasons }: PolicyTest, judgement: Judgement): boolean {
  if (outcomeOf(judgement) !== expect) return false
  return reasons === undefined || sorted(reasons) === sorted(reasonsOf(judgement))
}

function describeQuestion({ method, url, who }: PolicyTest): string {
  if (who === 'nobody') return `${method} ${url} as nobody`
  const { user, email, groups, active } = who
  const membership = groups === 'unknown' ? 'groups unknown' : groups.length > 0 ? `in ${groups.join(', ')}` : ''
  return [`${method} ${url} as ${email ?? user}`, membership, active ? '' : 'not active'].filter(Boolean).join(', ')
}

function describeDifference(row: PolicyTest, judgement: Judgement): readonly string[] {
  const found = describeOutcome(outcomeOf(judgement), reasonsOf(judgement))
  return [
    ...(row.name === undefined ? [] : [describeQuestion(row)]),
    `expected  ${describeOutcome(row.expect, row.reasons)}`,
    `found     ${found}${judgement.kind === 'route' ? `, route ${judgement.route.name} (${judgement.route.definedAt})` : ''}`,
    ...(judgement.kind === 'route' ? describeExplanation(judgement.route, judgement.explanation) : []),
    ...(judgement.kind === 'bad-request' ? [judgement.detail] : []),
  ]
}

function describeOutcome(outcome: string, reasons: readonly string[] | undefined): string {
  return reasons && reasons.length > 0 ? `${outcome} (${sorted(reasons)})` : outcome
}

function reasonsOf(judgement: Judgement): readonly string[] {
  return judgement.kind === 'route' ? judgement.explanation.reasons : []
}

function sorted(reasons: readonly string[]): string {
  return reasons.toSorted().join(', ')
}
