import { type Place, quoted, type Value } from './places.ts'

/** For `postern completion fish | source`. */
export function fishCompletion(places: readonly Place[]): string {
  const paths = places.slice(1).map(({ path }) => quoted(path))
  return `# fish completion of postern. In config.fish: postern completion fish | source
function __postern_at --description 'whether the words before the cursor are those of this command'
  set --local at postern
  for word in (commandline --tokenize --cut-at-cursor --current-process)[2..]
    if contains -- "$at $word" ${paths.join(' ')}
      set at "$at $word"
    end
  end
  test "$at" = "$argv"
end
complete --command postern --erase
complete --command postern --no-files
${places.flatMap(lines).join('\n')}
`
}

function lines({ path, commands, options, argument }: Place): readonly string[] {
  const here = `complete --command postern --condition ${quoted(`__postern_at ${path}`)}`
  return [
    ...commands.map(({ name, description }) => `${here} --arguments ${name} --description ${quoted(description)}`),
    ...options.map(({ flags, description, value }) =>
      [here, ...flags.map(flag), `--description ${quoted(description)}`, ...valueOf(value)].join(' '),
    ),
    ...(argument.kind === 'none' || argument.kind === 'text' ? [] : [`${here} ${argumentOf(argument)}`]),
  ]
}

function flag(text: string): string {
  return text.startsWith('--') ? `--long-option ${text.slice(2)}` : `--short-option ${text.slice(1)}`
}

function valueOf(value: Value): readonly string[] {
  if (value.kind === 'none') return []
  return value.kind === 'text' ? ['--exclusive'] : ['--require-parameter', argumentOf(value)]
}

function argumentOf(value: Value): string {
  return value.kind === 'choices' ? `--no-files --arguments ${quoted(value.choices.join(' '))}` : '--force-files'
}
