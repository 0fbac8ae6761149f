import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { formatIssues, parseConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/model.ts'
import { AppError } from '../../../src/errors.ts'
import {
  type Answers,
  domainOf,
  exampleIssuer,
  type Judged,
  judgeApplication,
  judgeOrigin,
  judgeProvider,
  judgeProviderUrl,
  knownIssuer,
} from '../init/answers.ts'
import { CONFIG, filesOf, type NewFile } from '../init/files.ts'
import { stepsAt } from '../init/steps.ts'
import type { Io } from '../io.ts'
import { isThere, writeNewFile } from '../new-file.ts'
import { createQuestions, type Questions } from '../questions.ts'
import { printable } from '../text.ts'
import { registrations } from './registration.ts'

export interface InitOptions {
  readonly provider: string | undefined
  readonly providerUrl: string | undefined
  readonly authenticateUrl: string | undefined
  readonly app: string | undefined
  /** Ask nothing: what was not given is a wrong use. */
  readonly yes: boolean
  readonly folder: string
}

/** Writes a first configuration and its secrets, never over a file, and says what to click at the provider. Exit code 0. */
export async function initCommand(options: InitOptions, io: Io): Promise<number> {
  // Before a person has answered for nothing.
  refuseToOverwrite(options.folder, [CONFIG])
  const answers = await answersOf(options)
  const files = filesOf(answers)
  const config = judge(files[0], answers, io)
  if (!config) return 3
  write(options.folder, files)
  io.err(`Written: ${files.map(({ name }) => join(options.folder, name)).join(', ')}`)
  for (const line of report(answers, config, options.folder)) io.out(printable(line))
  return 0
}

async function answersOf(options: InitOptions): Promise<Answers> {
  const questions = options.yes ? undefined : createQuestions(process.stdin, process.stderr)
  try {
    const provider = await answer(
      {
        flag: '--provider',
        given: options.provider,
        question: 'Identity provider',
        fallback: 'okta',
        judge: judgeProvider,
      },
      questions,
    )
    const issuer = knownIssuer(provider)
    const providerUrl =
      options.providerUrl === undefined && issuer !== undefined
        ? issuer
        : await answer(
            {
              flag: '--provider-url',
              given: options.providerUrl,
              question: `Its address (${exampleIssuer(provider)})`,
              judge: judgeProviderUrl,
            },
            questions,
          )
    const authenticateUrl = await answer(
      {
        flag: '--authenticate-url',
        given: options.authenticateUrl,
        question: 'A host for the sign-in service (authenticate.corp.example)',
        judge: judgeOrigin,
      },
      questions,
    )
    const { protocol, host } = new URL(authenticateUrl)
    const suggested = `${protocol}//app.${domainOf(authenticateUrl)}${host.replace(/^[^:]*/, '')}`
    const app = await answer(
      {
        flag: '--app',
        given: options.app,
        question: 'First application: its address for people = where it listens',
        fallback: `${suggested}=http://localhost:3000`,
        judge: (text) => judgeApplication(text, authenticateUrl),
      },
      questions,
    )
    return { provider, providerUrl, authenticateUrl, app }
  } finally {
    questions?.close()
  }
}

/** The flag, or the question until its answer is understood. */
async function answer<T>(
  asked: {
    readonly flag: string
    readonly given: string | undefined
    readonly question: string
    readonly fallback?: string
    readonly judge: (text: string) => Judged<T>
  },
  questions: Questions | undefined,
): Promise<T> {
  const { flag, given, question, fallback, judge: judgeAnswer } = asked
  if (given !== undefined || !questions) {
    if (given === undefined) throw new AppError('ERR_USAGE', `${flag} is missing, and with --yes nothing is asked`)
    const judged = judgeAnswer(given)
    if ('value' in judged) return judged.value
    throw new AppError('ERR_USAGE', `${flag}: ${judged.problem}`)
  }
  for (;;) {
    const judged = judgeAnswer(await questions.ask(question, fallback))
    if ('value' in judged) return judged.value
    questions.say(judged.problem)
  }
}

/** The same judgement as `postern check`, with something for each that only the provider knows. */
function judge({ text }: NewFile, { provider }: Answers, io: Io): Config | undefined {
  const env = provider === 'keycloak' ? {} : { IDP_CLIENT_ID: 'to-be-pasted' }
  const secrets = 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY='
  const judged = parseConfig(text, CONFIG, env, () => secrets)
  if (judged.kind === 'ok') return judged.config
  for (const line of formatIssues(judged.issues)) io.err(line)
  return undefined
}

function refuseToOverwrite(folder: string, names: readonly string[]): void {
  const existing = names.map((name) => join(folder, name)).filter((path) => existsSync(path))
  if (existing.length > 0) throw isThere(existing.join(', '))
}

function write(folder: string, files: readonly NewFile[]): void {
  const names = files.map(({ name }) => name)
  refuseToOverwrite(folder, names)
  for (const { name, text, secret } of files) writeNewFile(join(folder, name), text, { secret })
}

function report(answers: Answers, config: Config, folder: string): readonly string[] {
  const [idp] = config.fixed.idps
  const uri = (key: string): string => registrations(config, idp).find((each) => each.key === key)?.uri ?? ''
  const steps = stepsAt(answers, {
    redirect: uri('redirect_uri'),
    signOut: uri('sign_out_redirect_uri'),
    backChannelLogout: uri('backchannel_logout_uri'),
  })
  let step = 0
  return [
    'At the identity provider:',
    ...steps.map((line) => (line.startsWith(' ') ? `    ${line}` : `${String(++step).padStart(3)}. ${line}`)),
    '',
    'Then:',
    ...(folder === '.' ? [] : [`  cd ${folder}`]),
    `  postern check --online ${CONFIG}`,
    `  postern run ${CONFIG}`,
  ]
}
