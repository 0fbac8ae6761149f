import type { Reason } from '../policy/model.ts'

/**
 * Reasons of a refusal in words that need no glossary. The `…-ok` half is here too: a rule that
 * forbids matched, so what "fitted" is what stands in the way.
 */
const WORDS: Readonly<Record<Reason, string>> = {
  accept: 'A rule closes this application to everybody at the moment.',
  reject: 'This application is closed to everybody at the moment.',
  public: 'A rule closes this application to everybody at the moment.',
  'signed-in': 'A rule closes this application to people who are signed in.',
  'no-rule-matched': 'No rule of this application lets you in.',
  'policy-error': 'A rule of this application could not be checked, so the answer is no.',
  'user-unauthenticated': 'You are not signed in.',
  'user-inactive': 'Your account is not active.',
  'user-ok': 'A rule shuts out your account.',
  'user-unauthorized': 'Your account is not on the list of people who may open it.',
  'email-ok': 'A rule shuts out your e-mail address.',
  'email-unauthorized': 'Your e-mail address is not on the list of those who may open it.',
  'domain-ok': 'A rule shuts out addresses of your e-mail domain.',
  'domain-unauthorized': 'Your e-mail domain is not one that may open it.',
  'groups-ok': 'A rule shuts out one of your groups.',
  'groups-unauthorized': 'You are not in a group that may open it.',
  'groups-unknown': 'Which groups you are in could not be found out.',
  'claim-ok': 'A rule shuts out accounts with one of the details that yours has.',
  'claim-unauthorized': 'A detail of your account is not what this application asks for.',
  'http-method-ok': 'This kind of request is not allowed here.',
  'http-method-unauthorized': 'This kind of request is not allowed here.',
  'http-path-ok': 'This part of the application is closed.',
  'http-path-unauthorized': 'This part of the application is not open to you.',
  'source-ip-ok': 'It cannot be opened from the network you are on.',
  'source-ip-unauthorized': 'It cannot be opened from the network you are on.',
  'origin-unauthorized': 'The request was made by a page of another site.',
  'websockets-off': 'Live connections are turned off for this application.',
}

/** Sentences for reasons, each once, the general one only when nothing more exact is known. */
export function reasonsInWords(reasons: readonly Reason[]): readonly string[] {
  const exact = reasons.filter((reason) => reason !== 'no-rule-matched')
  const sentences = (exact.length > 0 ? exact : (['no-rule-matched'] as const)).map((reason) => WORDS[reason])
  return [...new Set(sentences)]
}

/** What a refused person can do about it; the first that fits. */
export function whatToDo(reasons: readonly Reason[]): string {
  if (reasons.includes('user-inactive')) return 'Ask your administrator to activate your account.'
  if (reasons.includes('groups-unauthorized')) {
    return 'Ask the owner of the application, or whoever looks after your groups, to add you to one that may open it. A change takes effect within a minute: then try again.'
  }
  if (reasons.some((reason) => reason.startsWith('source-ip'))) {
    return 'Connect to your company network or VPN, then try again.'
  }
  if (reasons.includes('policy-error')) return 'Tell your administrator, and quote the request number below.'
  return 'If you need access, ask the owner of the application. Quote the request number below.'
}
