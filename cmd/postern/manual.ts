import { type Place, placesOf, type Value } from './completion/places.ts'
import type { Command } from 'commander'

/** The manual page, in the macros of man(7). No date and no version: it changes when the commands do. */
export function manual(program: Command): string {
  const [top, ...places] = placesOf(program)
  if (!top) return ''
  return `${[
    '.TH POSTERN 1 "" postern "User Commands"',
    '.SH NAME',
    `postern \\- identity-aware reverse proxy`,
    '.SH SYNOPSIS',
    '.B postern',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    roff(top.description),
    'Data goes to standard output, messages to standard error.',
    '.SH COMMANDS',
    // `sessions` alone does nothing: what it groups is described by itself.
    ...places.filter(({ commands }) => commands.length === 0).flatMap(section),
    '.SH OPTIONS',
    ...optionsOf(top),
    '.SH EXIT STATUS',
    ...EXITS.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, roff(meaning)]),
    '.SH ENVIRONMENT',
    'Every key of the configuration may be given in the environment, which wins: in upper case, nested keys joined by',
    'underscores. Of every secret and certificate',
    '.IB KEY _FILE',
    'names a file.',
    '.SH EXAMPLES',
    ...EXAMPLES.flatMap(([what, line]) => [roff(what), '.PP', '.RS 4', '.EX', roff(line), '.EE', '.RE', '.PP']).slice(
      0,
      -1,
    ),
  ].join('\n')}\n`
}

const EXITS = [
  ['0', 'done; the answer is yes'],
  ['1', 'failed; the answer is no, or what was named is not there'],
  ['2', 'used wrongly, or with a configuration that gives the command nothing to work on'],
  ['3', 'the configuration, or a table of tests, is not valid'],
  ['4', 'the store, the identity provider or Okta could not be used'],
  ['10', 'not allowed (explain --exit-code)'],
] as const

const EXAMPLES = [
  ['A first configuration, and what to click at the identity provider:', 'postern init'],
  ['Is it right, and does everything that it names answer:', 'postern check --online config.yaml'],
  ['Run it:', 'postern run config.yaml'],
  [
    'Your own application behind Postern, with an identity provider of its own:',
    'postern dev --to http://localhost:3000',
  ],
] as const

function section(place: Place): readonly string[] {
  return [
    `.SS "${roff([place.path, ...argumentOf(place.argument)].join(' '))}"`,
    `${roff(place.description.replace(/^./, (letter) => letter.toUpperCase()))}.`,
    ...optionsOf({ ...place, options: place.options.filter(({ flags }) => !flags.includes('--help')) }),
  ]
}

function optionsOf({ options }: Place): readonly string[] {
  return options.flatMap(({ flags, description, value }) => [
    '.TP',
    `\\fB${flags.map(roff).join('\\fR, \\fB')}\\fR${argumentOf(value)
      .map((text) => ` \\fI${roff(text)}\\fR`)
      .join('')}`,
    roff(description),
  ])
}

function argumentOf(value: Value): readonly string[] {
  switch (value.kind) {
    case 'none':
      return []
    case 'choices':
      return [value.choices.join('|')]
    default:
      return [value.name]
  }
}

/** A backslash begins a command, a point or quote at the begin of a line, too; a hyphen that is typed is no dash. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('`', '')
    .replace(/^([.'])/, '\\&$1')
    .replaceAll(
      /[^ -~]/gu,
      (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    )
}
