/**
 * What passwords are made of most often, in lower case: words, names, teams and habits out of the lists of passwords that
 * became public. Numbers at the end, capitals and digits for letters are seen through by whoever guesses, and by
 * `checkPassword`.
 */
export const COMMON_WORDS: readonly string[] = `
  abc access account action adam admin administrator adidas airborne alaska albert alex alexander alexis alice alpha
  amanda america andrea andrew angel angela animal anna anthony antonio apache apple april arizona arsenal arthur asdf
  ashley athena august austin autumn awesome
  baby babygirl backup bailey baller banana bandit barbara barcelona barney baseball basketball batman beach bear beauty
  beaver benjamin berlin bigdaddy bigdog bird black blessed blink blondie blue bond boomer boston brandon brandy
  bravo brian brooklyn brother bubba bubbles buddy bulldog business buster butter butterfly
  calvin camaro cameron canada captain carlos casper cat champion change changeme charles charlie cheese chelsea cherry
  chester chicago chicken chocolate chris christian christine christmas christopher classic claudia coffee compaq
  computer connect cookie cool cooper corvette cowboy cowboys crystal customer
  daddy dakota dallas daniel danielle dark darkness database david death debian deborah december default dell demo
  dennis denver deploy design destiny develop developer diablo diamond digital docker doctor dog dolphin donald
  dragon dream drowssap
  eagle eagles easter edward einstein elephant elizabeth eminem emily enter eric esther eternity example extreme
  facebook faith falcon family february fender ferrari fire fish fishing flower flowers football forever formula france
  frank frankie freddy freedom friend friends friday fuck fuckyou fuckoff
  galaxy gandalf garden garfield gateway gemini general george germany ghost ginger girl github gitlab giants gold golden
  golf google green guest guitar gunner
  hammer hannah happy harley harry hate heather heaven hello helpme hockey holiday home honda honey hope horse
  hotdog house houston hunter
  iceman iloveyou independent india internet ireland ironman isabella israel
  jack jackson jaguar james january jasmine jason jasper jennifer jeremy jessica jessie jesus johnny john jonathan
  jordan joseph joshua juice julia july june junior justin
  karen katie kelly kevin killer king kitty knight kubernetes
  lakers laptop laura lauren legend leonardo letmein liberty life lincoln linux lion little liverpool lizard login logitech
  london long lord love lovely lover loveyou lucky lucy
  machine maddog madison maggie magic manager march marcus maria marina mario marlboro marley martin master matrix
  matthew maverick maximus maxwell melissa mercedes merlin metallica mexico michael michelle mickey midnight miller
  mine minecraft money monday monica monkey monster moon morgan mother motorola mountain murphy music mustang mybaby
  mylove mypassword
  naruto nascar natasha nathan network newpass newyork nicholas nicole nintendo nirvana nobody nokia nothing november
  october office oliver olivia online open oracle orange oscar
  panther pass passme passphrase passw password passwort patricia patrick peace peaches peanut pepper peter phantom
  phoenix please pokemon police porsche portal postgres power prince princess private purple puppy
  qazwsx qwer qwert qwerty
  rabbit rachel racing raider raiders rainbow rambo random ranger rangers raspberry raven rebecca red redhat redsox remote
  richard robert rock rocket root rose runner russia
  sample samantha samsung samuel sandra saturday scooter scorpion scott scotland secret secure security senha september
  server service sexy shadow share shelby sierra silver simple simpson skippy slayer smith smokey snoopy soccer
  something sophie spanway sparky special spider spiderman spring sprite squirt stanley star starbucks starwars steelers
  stella stephanie steve steven strong student sublime success sugar summer sunday sunflower sunshine super superman
  superstar support surfer sweet sweety switch sydney system
  taylor teacher team tech temp tennis teresa test tester testing texas theman thomas thunder thursday thx tiffany
  tiger tigger time tinkerbell today toor toyota travel trinity trouble trustno trustme tucker tuesday turtle tweety
  ubuntu unicorn united universe unknown user username
  vagrant vampire vanessa victor victoria victory viking violet virginia vmware volvo
  warrior water wednesday welcome whatever white wilson windows winner winston winter wizard wolf wolves work world
  xavier yamaha yankee yankees yellow york zaq zxcvbn
`.trim().split(/\s+/);
