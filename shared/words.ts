/**
 * The words of generated names: friendly, easy to spell and to say, lower-case ASCII, none twice and none in both lists.
 * Adding words is harmless; names that were given out stay valid.
 */

const split = (words: string): readonly string[] => words.trim().split(/\s+/);

export const ADJECTIVES: readonly string[] = split(`
  able agile airy alert amber ample ancient apt arctic ardent artful astute autumn avid azure balmy basic beaming
  blithe blooming blue bold bonny bouncy brainy brave breezy bright brisk broad bronze bubbly bucolic buoyant burly
  busy calm candid canny capable carefree caring casual cedar celestial cerise charming cheery chestnut chilly chipper
  chirpy choice civic civil clean clear clever close cloudy coastal cobalt comfy content cool coppery coral cordial
  cosmic cosy courtly crafty creamy crimson crisp cuddly curious curly cyan dainty dapper daring dashing dawn decent
  deep deft devout dewy diligent direct distant docile downy dreamy dulcet dusky dusty eager early earnest easy elated
  elegant elfin emerald eminent epic equal esteemed even exact exotic expert fabled fair faithful famous fancy fast
  fearless feathery festive fiery fine firm fit fleet floral fluent fluffy flying fond forest formal frank free fresh
  friendly frosty frugal full funny fuzzy gallant gentle genuine giant giddy gifted gilded giving glad gleaming global
  glossy glowing golden good graceful gracious grand grateful great green gusty handy happy hardy hasty hazel hearty
  heroic hidden high hilly honest hopeful humble humid hushed icy ideal immense indigo inland inner intent inventive
  island ivory jade jaunty jazzy jolly jovial joyful jubilant juicy jumbo just keen kind kindly knowing lacy large
  lasting lavish leafy lean learned level light likely lilac limber linen little lively local lofty logical long loyal
  lucid lucky lunar lush magic marble maroon mature meek mellow merry mighty mild mindful minty mirthful misty modern
  modest mossy muted natural neat new nifty nimble noble nordic novel oaken obliging ocean olive open orange orderly
  organic oval pastel patient peaceful peachy pearly peppy perky placid plaid plain playful pleasant plucky plum plush
  poetic poised polar polished polite potent prairie precise pretty prime proper proud prudent pure purple quaint
  quick quiet quirky radiant rainy rapid rare ready regal relaxed reliable rich robust rocky rosy round royal ruby
  rugged russet rustic sable sage salty sandy satin savvy scarlet scenic seaside secure sensible serene shady sharp
  shiny showy shy silent silken silver simple sincere sleek sleepy slender slick smart smiling smooth snappy snowy
  snug sober social soft solar solemn solid sonic spare speedy spicy spirited splendid spry stable starry stately
  steady stellar stout striped sturdy subtle sunlit sunny supple sure swanky sweet swift sylvan tactful tall tame
  tawny teal tender thrifty tidal tidy timber tiny topaz tranquil true trusty twilight upbeat urban useful valiant
  vast velvet verdant vernal vibrant violet vital vivid warm wavy welcome western white whole wide willing windy
  winged winter wise witty wooden woolly worthy young zany zealous zesty zippy
`);

export const ANIMALS: readonly string[] = split(`
  aardvark albatross alpaca anchovy angelfish anole anteater antelope aphid argali armadillo auk avocet axolotl
  babbler badger bandicoot barbel barnacle barracuda basilisk bass bat bear beaver bee beetle beluga bilby bison
  bittern blackbird bluebird bluegill bluejay boar bobcat bobolink bonito bonobo budgie buffalo bullfinch bullfrog
  bumblebee bunting bushbaby bustard butterfly buzzard caiman camel canary capybara caracal cardinal caribou carp
  cassowary cat caterpillar catfish chaffinch chameleon chamois cheetah chickadee chicken chinchilla chipmunk cicada
  civet clam coati cockatoo cockle cod colobus colt condor coot cormorant cougar cowrie coyote crab crane crayfish
  cricket crocodile crossbill crow cuckoo curlew cuttlefish dace damselfly deer dingo dipper dog dolphin donkey
  dormouse dotterel dove dragonfly duck duckling dugong dunlin dunnock eagle echidna eel egret eider eland elephant
  elk emu ermine falcon fawn ferret finch firefly flamingo flounder flycatcher foal fox frigatebird frog fulmar
  gadwall galago gannet gar gazelle gecko genet gerbil gibbon giraffe glider gnu goat godwit goldeneye goldfinch
  goldfish goose gopher goshawk gosling grackle grasshopper grebe greenfinch grosbeak groundhog grouper grouse
  guillemot gull guppy haddock halibut hamster hare harrier hawfinch hawk hedgehog heron herring hippo honeybee hoopoe
  hornbill horse hummingbird hyrax ibex ibis iguana impala indri jabiru jacana jackal jackdaw jaguar jay jellyfish
  jerboa junco kakapo kangaroo katydid kestrel kingfisher kinglet kinkajou kite kitten kiwi koala koi kookaburra krill
  kudu ladybird lamb lamprey langur lapwing lark lemming lemur leopard limpet linnet lion lizard llama lobster lobworm
  locust loon lorikeet loris lovebird lynx lyrebird macaque macaw mackerel magpie mallard manatee mandrill manta
  mantis margay marlin marmoset marmot marten martin mastiff mayfly meadowlark meerkat merganser merlin minnow mole
  mongoose monkey moose moth mouse mule mullet muntjac murrelet muskox mussel mustang myna narwhal nautilus newt
  nighthawk nightingale nilgai numbat nutcracker nuthatch ocelot octopus okapi opossum orangutan orca oriole oryx
  osprey ostrich otter owl oyster oystercatcher panda pangolin panther parakeet parrot partridge peacock peafowl
  pelican penguin perch peregrine petrel pheasant pigeon pika pike pintail pipefish pipit platypus plover pochard
  polecat pollock pony poodle porcupine porpoise possum prawn ptarmigan puffin puma puppy quagga quail quelea quetzal
  quokka quoll rabbit raccoon raven razorbill redpoll redshank redstart reindeer rhea rhino roadrunner robin rook
  rooster ruff salamander salmon sanderling sandpiper sardine scallop scaup seagull seahorse seal serval shearwater
  sheep shelduck shoebill shrew shrike shrimp siskin skate skimmer skink skua skylark sloth snail snipe snowfinch sole
  spaniel sparrow spoonbill springbok squid squirrel starfish starling stilt stingray stoat stork sturgeon sunbird
  swallow swan tadpole takin tamarin tanager tapir tarpon tarsier tench tern terrapin terrier thrush tiger titmouse
  toad tortoise toucan treefrog trogon trout tuna turaco turbot turkey turnstone turtle urchin vervet vicuna vireo
  viscacha vole wagtail wallaby walleye walrus warbler warthog waxbill waxwing weasel weaver whale wheatear whimbrel
  whippet whiting wigeon wildcat wildebeest willet wolf wolverine wombat woodcock woodlark woodpecker wrasse wren yak
  zebra zebu
`);
